/** POST /v1/check-session and /v1/reset-session: check a session_key with WeChat, and replace
 *  it. */
import type { FastifyInstance } from 'fastify'
import { withProblems } from '../http/endpoints/openapi.ts'
import { SESSION_KEY_STALE } from '../identity/open-data-reader.ts'
import type { SessionKeys } from '../identity/session-keys.ts'
import type { Platforms } from '../platforms/registry.ts'
import { type Static, Type } from '../schema.ts'
import { AppId, expectApp, findUser, OpenId, type SubjectDeps } from './subject.ts'

export interface SessionKeyDeps extends SubjectDeps {
  readonly sessionKeys: Pick<SessionKeys, 'current' | 'replace'>
  readonly platforms: Pick<Platforms, 'require'>
}

const Body = Type.Object({ appid: AppId, openid: OpenId })
type UserRequest = Static<typeof Body>

const Answer = Type.Object({ valid: Type.Boolean() }, { additionalProperties: false, description: "WeChat's answer." })
const PROBLEMS = ['rate_limited', 'wechat_misconfigured', 'wechat_unavailable', 'store_unavailable'] as const

export function addCheckSession(app: FastifyInstance, deps: SessionKeyDeps): void {
  const schema = {
    operationId: 'checkSession',
    summary: 'Ask WeChat whether the stored session_key is still valid',
    description: '`valid` is also false when no session_key is stored, or it is older than sessions.sessionKeyTtl.',
    tags: ['session'],
    body: Body,
    response: withProblems({ 200: Answer }, PROBLEMS)
  }
  app.post<{ Body: UserRequest }>('/check-session', { schema }, async (request) => {
    const { appid, openid } = request.body
    const wxApp = expectApp(deps, request, appid)
    await findUser(deps, request, wxApp, openid)
    const sessionKeys = deps.platforms.require(wxApp.appId, 'sessionKeys')
    const sessionKey = await deps.sessionKeys.current(wxApp.appId, openid)
    return { valid: sessionKey !== null && (await sessionKeys.check(wxApp, openid, sessionKey)) }
  })
}

export function addResetSession(app: FastifyInstance, deps: SessionKeyDeps): void {
  const schema = {
    operationId: 'resetSession',
    summary: 'Have WeChat replace the session_key',
    description: 'The old key ends at once; the new one keeps its age.',
    tags: ['session'],
    body: Body,
    response: withProblems({ 200: Answer }, ['session_key_stale', ...PROBLEMS])
  }
  app.post<{ Body: UserRequest }>('/reset-session', { schema }, async (request) => {
    const { appid, openid } = request.body
    const wxApp = expectApp(deps, request, appid)
    await findUser(deps, request, wxApp, openid)
    const oldKey = await deps.sessionKeys.current(wxApp.appId, openid)
    if (oldKey === null) throw SESSION_KEY_STALE
    const newKey = await deps.platforms.require(wxApp.appId, 'sessionKeys').reset(wxApp, openid, oldKey)
    // False when a login came after the reset; its key is the valid one.
    await deps.sessionKeys.replace(wxApp.appId, openid, oldKey, newKey)
    return { valid: true }
  })
}
