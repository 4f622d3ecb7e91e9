/** POST /v1/open-data: decrypts open data that a mini-program sent to its own backend. */
import type { FastifyInstance } from 'fastify'
import { withProblems } from '../http/endpoints/openapi.ts'
import type { OpenDataReader } from '../identity/open-data-reader.ts'
import { MAX_OPEN_DATA } from '../platforms/port.ts'
import { type Static, Type } from '../schema.ts'
import { AppId, expectApp, findUser, OpenId, type SubjectDeps } from './subject.ts'

export interface OpenDataDeps extends SubjectDeps {
  readonly openData: Pick<OpenDataReader, 'decrypt'>
}

const Body = Type.Object({
  appid: AppId,
  openid: OpenId,
  encryptedData: Type.String({ maxLength: MAX_OPEN_DATA, description: 'As wx returned it.' }),
  iv: Type.String({ maxLength: 64, description: 'As wx returned it.' })
})

const Answer = Type.Object(
  { data: Type.Record(Type.String(), Type.Unknown(), { description: 'The decrypted data including its watermark.' }) },
  { description: 'The data must have been encrypted for this user of this mini-program within the last hour.' }
)

export function addOpenData(app: FastifyInstance, deps: OpenDataDeps): void {
  const schema = {
    operationId: 'decryptOpenData',
    summary: 'Decrypt open data',
    description: 'Uses the stored session_key. Every failure to decrypt is one 409.',
    tags: ['session'],
    body: Body,
    response: withProblems({ 200: Answer }, ['session_key_stale', 'store_unavailable'])
  }
  app.post<{ Body: Static<typeof Body> }>('/open-data', { schema }, async (request) => {
    const { appid, openid, encryptedData, iv } = request.body
    const wxApp = expectApp(deps, request, appid)
    await findUser(deps, request, wxApp, openid)
    return { data: await deps.openData.decrypt(wxApp.appId, openid, { encryptedData, iv }) }
  })
}
