/** The web console on the service listener: its page, its sign-in, and the calls of the page. */
import type { FastifyInstance } from 'fastify'
import { ApiError } from '../errors.ts'
import { acceptEmptyBodies } from '../http/endpoints/empty-bodies.ts'
import { addNotFound } from '../http/endpoints/unknown-paths.ts'
import { addOperatorCalls, type OperatorDeps } from '../service/operator-calls.ts'
import type { Assets } from './assets.ts'
import { addPages } from './pages.ts'
import { addSandboxCalls, type SandboxCalls } from './sandbox.ts'
import { addSignIn, expectSession, type SignInDeps, setCookie } from './sign-in.ts'

export type ConsoleDeps = OperatorDeps &
  SignInDeps & {
    readonly assets: Assets
    /** Null: WeChat itself is behind the gateway. */
    readonly sandboxCalls: SandboxCalls | null
  }

/** The page asks for these all the time; they leave no line in the audit log. */
const POLLED = new Set(['/console/v1/status', '/console/v1/status/events', '/console/v1/failures'])
/** A cookie older than this is replaced (milliseconds). */
const RENEW_MS = 60_000

export function addConsole(app: FastifyInstance, deps: ConsoleDeps): void {
  app.register(
    async (console) => {
      addPages(console, deps.assets)
      console.register(async (scope) => {
        acceptEmptyBodies(scope)
        addSignIn(scope, deps)
      })
      console.register(async (scope) => addCalls(scope, deps), { prefix: '/v1' })
    },
    { prefix: '/console' }
  )
}

/** The calls of operators, with the session of the console as the credential. */
function addCalls(scope: FastifyInstance, deps: ConsoleDeps): void {
  const { consoleSessions } = deps
  acceptEmptyBodies(scope)
  // Documented below /v1.
  scope.addHook('onRoute', (route) => {
    route.schema = { ...route.schema, hide: true }
  })
  scope.addHook('onRequest', (request, reply, done) => {
    const isPolled = request.method === 'GET' && POLLED.has(request.routeOptions.url ?? '')
    request.audit = isPolled ? null : { caller: null, app: null, user: null, path: null }
    try {
      const session = expectSession(deps, request)
      if (request.audit) request.audit.caller = session.caller.name
      request.caller = session.caller
      request.isEntitled = () => consoleSessions.isLive(session)
      const extended = consoleSessions.extend(session)
      if (extended.issuedAt - session.issuedAt > RENEW_MS) setCookie(deps, reply, extended)
      done()
    } catch (error) {
      done(error instanceof ApiError ? error : new Error('the session could not be read', { cause: error }))
    }
  })
  addNotFound(scope)
  addOperatorCalls(scope, deps)
  if (deps.sandboxCalls !== null) addSandboxCalls(scope, deps.sandboxCalls)
}
