/** /console/session: sign in, look at the session, sign out. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Sealer } from '../crypto/sealer.ts'
import { ApiError } from '../errors.ts'
import { isHttps } from '../http/headers/hsts.ts'
import { admittedOf } from '../http/request.ts'
import { type Static, Type } from '../schema.ts'
import { clearingCookie, cookieOf } from './cookie.ts'
import { isSameOrigin } from './same-origin.ts'
import type { ConsoleSession, ConsoleSessions } from './sessions.ts'

export interface SignInDeps {
  readonly consoleSessions: ConsoleSessions
  readonly cookieSealer: Pick<Sealer, 'seal'>
}

export const CSRF_HEADER = 'x-csrf-token'

export const FOREIGN = new ApiError('forbidden', 'The call does not come from the page of this console.')
export const SIGNED_OUT = new ApiError('token_missing', 'Sign in to the console first.')
const NO_CSRF = new ApiError('forbidden', 'The header X-CSRF-Token does not belong to this session.')
const ONE_OF_TWO = new ApiError('invalid_request', 'Send either "token" or "link".')

const Body = Type.Object(
  {
    token: Type.Optional(Type.String({ minLength: 1, maxLength: 4096 })),
    link: Type.Optional(Type.String({ minLength: 1, maxLength: 128 }))
  },
  { additionalProperties: false }
)

/** The session of a request. Throws without one, for a request of another page, and for an action
 *  without the CSRF token. */
export function expectSession({ consoleSessions }: SignInDeps, request: FastifyRequest): ConsoleSession {
  expectSameOrigin(request)
  const session = consoleSessions.find(request.headers.cookie)
  if (session === null) throw SIGNED_OUT
  const isAction = request.method !== 'GET' && request.method !== 'HEAD'
  if (isAction && !consoleSessions.hasCsrf(session, request.headers[CSRF_HEADER])) throw NO_CSRF
  return session
}

function expectSameOrigin(request: FastifyRequest): void {
  if (!isSameOrigin(request.headers, admittedOf(request.raw).headers.host)) throw FOREIGN
}

export function setCookie({ cookieSealer }: SignInDeps, reply: FastifyReply, session: ConsoleSession): void {
  const { id, token, fingerprint, startedAt, issuedAt } = session
  const https = isHttps(admittedOf(reply.request.raw))
  reply.header('set-cookie', cookieOf({ id, token, fingerprint, startedAt, issuedAt }, cookieSealer, https))
}

export function addSignIn(app: FastifyInstance, deps: SignInDeps): void {
  const { consoleSessions } = deps
  const url = '/session'
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('cache-control', 'no-store')
    request.audit = { caller: null, app: null, user: null, path: null }
    done()
  })

  app.post<{ Body: Static<typeof Body> }>(url, { schema: { hide: true, body: Body } }, async (request, reply) => {
    expectSameOrigin(request)
    const { token, link } = request.body
    if ((token === undefined) === (link === undefined)) throw ONE_OF_TWO
    const session = consoleSessions.begin(link === undefined ? { token: token ?? '' } : { link })
    if (request.audit) request.audit.caller = session.caller.name
    setCookie(deps, reply, session)
    return describe(session)
  })

  app.get(url, { schema: { hide: true } }, async (request) => {
    // The page asks at each start.
    request.audit = null
    return describe(expectSession(deps, request))
  })

  app.delete(url, { schema: { hide: true } }, async (request, reply) => {
    const session = expectSession(deps, request)
    if (request.audit) request.audit.caller = session.caller.name
    await consoleSessions.end(session)
    reply.header('set-cookie', clearingCookie(isHttps(admittedOf(request.raw))))
    return reply.code(204).send()
  })
}

function describe({ caller, csrf, expiresAt, endsAt }: ConsoleSession) {
  return {
    name: caller.name,
    csrf,
    expires_at: new Date(expiresAt).toISOString(),
    ends_at: new Date(endsAt).toISOString()
  }
}
