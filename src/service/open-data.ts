/** POST /v1/open-data: decrypts what a mini-program handed to its own backend. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Parts } from '../gateway/parts.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { MAX_OPEN_DATA } from '../platforms/port.ts'
import { AppId, expectApp, findUser, OpenId } from './subject.ts'

const Body = Type.Object({
  appid: AppId,
  openid: OpenId,
  encryptedData: Type.String({ maxLength: MAX_OPEN_DATA, description: 'As wx gave it.' }),
  iv: Type.String({ maxLength: 64, description: 'As wx gave it.' })
})

const Answer = Type.Object(
  { data: Type.Record(Type.String(), Type.Unknown(), { description: 'The decrypted data, watermark included.' }) },
  { description: 'It was encrypted for this user of this mini-program, within the last hour.' }
)

export function addOpenData(app: FastifyInstance, parts: Parts): void {
  const schema = {
    summary: 'Decrypt open data',
    tags: ['session'],
    body: Body,
    response: withProblems({ 200: Answer }, ['session_key_stale', 'store_unavailable'])
  }
  app.post<{ Body: Static<typeof Body> }>('/open-data', { schema }, async (request) => {
    const { appid, openid, encryptedData, iv } = request.body
    const wxApp = expectApp(parts, request, appid)
    await findUser(parts, request, wxApp, openid)
    return { data: await parts.openData.decrypt(wxApp.appId, openid, { encryptedData, iv }) }
  })
}
