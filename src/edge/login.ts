/** POST /auth/login: a code of wx.login becomes a session. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { AppConfig } from '../config/config.ts'
import { ApiError, StoreError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import { networkKey } from '../http/network.ts'
import type { RequestRecord } from '../http/record.ts'
import { recordOf } from '../http/request.ts'
import type { User } from '../identity/users.ts'
import type { LoginResult } from '../login/login-codes.ts'
import { createLoginHook, type LoginHook } from '../login/login-hook.ts'

/** WeChat publishes no grammar for codes; these are the characters of a URL query that need no encoding. */
const Body = Type.Object({
  code: Type.String({ pattern: '^[A-Za-z0-9_.~-]{1,512}$' }),
  appid: Type.Optional(Type.String({ maxLength: 64 }))
})

interface LoginRequest {
  code: string
  appid?: string
}

export function addLogin(app: FastifyInstance, parts: Parts): void {
  const { hook: config } = parts.config.login
  const hook = config && createLoginHook({ config, upstream: parts.upstreams.get(config.upstream), log: parts.log })
  app.post<{ Body: LoginRequest }>('/auth/login', { schema: { body: Body } }, async (request, reply) => {
    const { code, appid } = request.body
    const wxApp = chooseApp(parts, appid)
    const context = recordOf(request.raw)
    const admit = () => limit(parts, context.clientAddress, wxApp)
    const result = await parts.loginCodes.once(wxApp.appId, code, {
      admit,
      exchange: () => logIn(parts, hook, context, { app: wxApp, code }),
      isAlive: (earlier) => isAlive(parts, earlier)
    })
    reply.header('cache-control', 'no-store')
    return describeLogin(parts, result)
  })
}

function chooseApp({ config, findApp }: Parts, appId: string | undefined): AppConfig {
  const [first, ...others] = config.apps
  if (appId === undefined) {
    if (first && others.length === 0) return first
    throw new ApiError('invalid_request', 'Several mini-programs are configured: send "appid" along with the code.')
  }
  const found = findApp(appId)
  if (!found) throw new ApiError('invalid_request', 'The appid is not one of the mini-programs configured here.')
  return found
}

/** WeChat counts logins against the whole mini-program: one sender must not use them up. */
async function limit({ config, loginLimiter }: Parts, address: string, app: AppConfig): Promise<void> {
  await loginLimiter.hit(config.server.loginLimit.by === 'app' ? app.appId : networkKey(address))
}

async function logIn(
  parts: Parts,
  hook: LoginHook | null,
  context: RequestRecord,
  { app, code }: { app: AppConfig; code: string }
): Promise<LoginResult> {
  const { clock, wechat, users, sessions, sessionKeys, metrics } = parts
  const exchangedAt = clock.now()
  try {
    const { openId, unionId, sessionKey } = await wechat.login(app, code)
    const saved = sessionKeys.save(app.appId, openId, sessionKey, exchangedAt)
    const [{ user: recorded, isNew }] = await Promise.all([users.recordLogin(app.appId, openId, unionId), saved])
    const { claims, profile, user } = await consult(parts, hook, context, { app, user: recorded, isNew })
    const session = await sessions.begin({
      appId: app.appId,
      openId,
      unionId: user.unionId,
      userId: user.id,
      epoch: user.epoch,
      claims
    })
    metrics.loginDone(app.appId, 'ok')
    return { session, status: user.status, isNew, profile }
  } catch (error) {
    metrics.loginDone(app.appId, error instanceof ApiError ? error.code : 'store_unavailable')
    throw error
  }
}

/** What the hook says of a user who is about to log in, and the user as they are by then. */
async function consult(
  { users }: Parts,
  hook: LoginHook | null,
  { requestId, traceparent }: RequestRecord,
  login: { app: AppConfig; user: User; isNew: boolean }
) {
  const { user } = login
  if (hook === null) return { claims: {}, profile: null, user }
  const answer = await hook.ask({ ...login, requestId, traceparent })
  // The service may just have ended all sessions of the user, to leave them this one.
  const current = await users.find(user.appId, user.openId)
  if (!current) throw new StoreError('a user record vanished')
  return { ...answer, user: current }
}

/** The tokens are a function of the session, so every instance that is asked gives the same answer. */
function describeLogin({ grants }: Parts, { session, status, isNew, profile }: LoginResult) {
  return {
    ...grants.issue(session, status),
    user: { ...profile, id: session.userId, is_new: isNew, status }
  }
}

async function isAlive({ sessions, users }: Parts, { session }: LoginResult): Promise<boolean> {
  const [found, user] = await Promise.all([sessions.find(session.id), users.find(session.appId, session.openId)])
  return found !== null && user !== null && user.epoch <= session.epoch
}
