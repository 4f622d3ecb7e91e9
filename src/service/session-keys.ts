/** POST /v1/check-session and /v1/reset-session: asking WeChat about a session_key, and replacing it. */
import type { FastifyInstance } from 'fastify'
import { type Static, Type } from 'typebox'
import type { Parts } from '../gateway/parts.ts'
import { withProblems } from '../http/endpoints/openapi.ts'
import { SESSION_KEY_STALE } from '../identity/open-data-reader.ts'
import { AppId, expectApp, findUser, OpenId } from './subject.ts'

const Body = Type.Object({ appid: AppId, openid: OpenId })
type UserRequest = Static<typeof Body>

const Answer = Type.Object({ valid: Type.Boolean() }, { additionalProperties: false, description: "WeChat's answer." })
const PROBLEMS = ['rate_limited', 'wechat_misconfigured', 'wechat_unavailable', 'store_unavailable'] as const

export function addCheckSession(app: FastifyInstance, parts: Parts): void {
  const schema = {
    summary: 'Ask WeChat whether the stored session_key is still valid',
    description: '`valid` is false as well when no session_key is stored, or it is older than sessions.sessionKeyTtl.',
    tags: ['session'],
    body: Body,
    response: withProblems({ 200: Answer }, PROBLEMS)
  }
  app.post<{ Body: UserRequest }>('/check-session', { schema }, async (request) => {
    const { appid, openid } = request.body
    const wxApp = expectApp(parts, request, appid)
    await findUser(parts, request, wxApp, openid)
    const sessionKeys = parts.platforms.require(wxApp.appId, 'sessionKeys')
    const sessionKey = await parts.sessionKeys.current(wxApp.appId, openid)
    return { valid: sessionKey !== null && (await sessionKeys.check(wxApp, openid, sessionKey)) }
  })
}

export function addResetSession(app: FastifyInstance, parts: Parts): void {
  const schema = {
    summary: 'Have WeChat replace the session_key; the new one inherits its age',
    tags: ['session'],
    body: Body,
    response: withProblems({ 200: Answer }, ['session_key_stale', ...PROBLEMS])
  }
  app.post<{ Body: UserRequest }>('/reset-session', { schema }, async (request) => {
    const { appid, openid } = request.body
    const wxApp = expectApp(parts, request, appid)
    await findUser(parts, request, wxApp, openid)
    const oldKey = await parts.sessionKeys.current(wxApp.appId, openid)
    if (oldKey === null) throw SESSION_KEY_STALE
    const newKey = await parts.platforms.require(wxApp.appId, 'sessionKeys').reset(wxApp, openid, oldKey)
    // False means that a login came after the reset: then its key is the valid one, and it is stored.
    await parts.sessionKeys.replace(wxApp.appId, openid, oldKey, newKey)
    return { valid: true }
  })
}
