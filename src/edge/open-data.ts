/** POST /auth/open-data: decrypts or checks open data that wx returned to the mini-program. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { OpenDataReader } from '../identity/open-data-reader.ts'
import { withoutIdentity } from '../identity/without-identity.ts'
import { MAX_OPEN_DATA } from '../platforms/port.ts'
import { type Static, Type } from '../schema.ts'
import { principalOf } from './authenticated.ts'

export interface OpenDataDeps {
  readonly openData: OpenDataReader
  readonly config: { readonly tokens: { readonly openId: 'sealed' | 'plain' } }
}

const Body = Type.Object(
  {
    encryptedData: Type.Optional(Type.String({ maxLength: MAX_OPEN_DATA })),
    iv: Type.Optional(Type.String({ maxLength: 64 })),
    rawData: Type.Optional(Type.String({ maxLength: MAX_OPEN_DATA })),
    signature: Type.Optional(Type.String({ maxLength: 64 }))
  },
  {
    description:
      '`encryptedData` and `iv`, or `rawData` and `signature`, as wx returned them. With all four the data is decrypted.'
  }
)

const Answer = Type.Union(
  [
    Type.Object({ data: Type.Record(Type.String(), Type.Unknown()) }, { additionalProperties: false }),
    Type.Object({ valid: Type.Boolean() }, { additionalProperties: false })
  ],
  {
    description:
      'The decrypted data, without openId and unionId unless `tokens.openid` is `plain`; or whether the signature matches.'
  }
)

const INCOMPLETE = new ApiError(
  'invalid_request',
  'Send "encryptedData" and "iv" to decrypt them, or "rawData" and "signature" to check them.'
)

export function addOpenData(app: FastifyInstance, { openData, config }: OpenDataDeps): void {
  const schema = {
    operationId: 'readOpenData',
    summary: 'Decrypt or check open data',
    description: 'Uses the session_key of the last login. Every failure to decrypt is one 409.',
    tags: ['user'],
    body: Body,
    response: withProblems({ 200: Answer }, ['session_key_stale'])
  }
  app.post<{ Body: Static<typeof Body> }>('/auth/open-data', { schema }, async (request, reply) => {
    const { appId, openId } = principalOf(request)
    const { encryptedData, iv, rawData, signature } = request.body
    reply.header('cache-control', 'no-store')
    if (encryptedData !== undefined && iv !== undefined) {
      const data = await openData.decrypt(appId, openId, { encryptedData, iv })
      return { data: config.tokens.openId === 'plain' ? data : withoutIdentity(data) }
    }
    if (rawData === undefined || signature === undefined) throw INCOMPLETE
    return { valid: await openData.verify(appId, openId, { rawData, signature }) }
  })
}
