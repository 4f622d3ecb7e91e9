/** POST /auth/login: a code of wx.login becomes a session. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { clientKey } from '../access/rate-limiter.ts'
import type { AppConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { Parts } from '../parts.ts'
import { contextOf } from '../proxy/request-context.ts'
import type { LoginResult } from '../sessions/login-codes.ts'

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
  app.post<{ Body: LoginRequest }>('/auth/login', { schema: { body: Body } }, async (request, reply) => {
    const { code, appid } = request.body
    const wxApp = chooseApp(parts, appid)
    const admit = () => limit(parts, contextOf(request.raw).clientAddress, wxApp)
    const { result, isRepeat } = await parts.loginCodes.once(wxApp.appId, code, admit, () => logIn(parts, wxApp, code))
    if (isRepeat) await expectAlive(parts, result)
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
  await loginLimiter.hit(config.server.loginLimit.by === 'app' ? app.appId : clientKey(address))
}

async function logIn(parts: Parts, app: AppConfig, code: string): Promise<LoginResult> {
  const { clock, wechat, users, sessions, sessionKeys, metrics } = parts
  const exchangedAt = clock.now()
  try {
    const { openId, unionId, sessionKey } = await wechat.login(app, code)
    const saved = sessionKeys.save(app.appId, openId, sessionKey, exchangedAt)
    const [{ user, isNew }] = await Promise.all([users.recordLogin(app.appId, openId, unionId), saved])
    const session = await sessions.begin({
      appId: app.appId,
      openId,
      unionId: user.unionId,
      userId: user.id,
      epoch: user.epoch,
      claims: {}
    })
    metrics.loginDone(app.appId, 'ok')
    return { session, status: user.status, isNew, profile: null }
  } catch (error) {
    metrics.loginDone(app.appId, error instanceof ApiError ? error.code : 'store_unavailable')
    throw error
  }
}

/** The tokens are a function of the session, so every instance that is asked gives the same answer. */
function describeLogin({ grants }: Parts, { session, status, isNew, profile }: LoginResult) {
  return {
    ...grants.issue(session, status),
    user: { id: session.userId, is_new: isNew, status, ...(profile ?? {}) }
  }
}

async function expectAlive({ sessions, users }: Parts, { session }: LoginResult): Promise<void> {
  const [found, user] = await Promise.all([sessions.find(session.id), users.find(session.appId, session.openId)])
  if (!found || !user || user.epoch > session.epoch)
    throw new ApiError('code_used', 'The login code was used, and its session has ended since. Call wx.login again.')
}
