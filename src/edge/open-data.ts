/** POST /auth/open-data: what wx gave the mini-program in encrypted or signed form, opened or checked. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import { ApiError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import { withoutIdentity } from '../identity/without-identity.ts'
import { MAX_OPEN_DATA } from '../platforms/port.ts'
import { principalOf } from './authenticated.ts'

/** wx.getUserInfo gives all four members, and a client may send them as they came. */
const Body = Type.Object({
  encryptedData: Type.Optional(Type.String({ maxLength: MAX_OPEN_DATA })),
  iv: Type.Optional(Type.String({ maxLength: 64 })),
  rawData: Type.Optional(Type.String({ maxLength: MAX_OPEN_DATA })),
  signature: Type.Optional(Type.String({ maxLength: 64 }))
})

const INCOMPLETE = new ApiError(
  'invalid_request',
  'Send "encryptedData" and "iv" to have them decrypted, or "rawData" and "signature" to have them checked.'
)

export function addOpenData(app: FastifyInstance, { openData, config }: Parts): void {
  app.post<{ Body: Static<typeof Body> }>('/auth/open-data', { schema: { body: Body } }, async (request, reply) => {
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
