/** gateway.yaml as a whole: the schemas, rules and resolutions of its sections. The resolved
 *  configuration has every default filled in, durations in milliseconds, sizes in bytes and secrets
 *  read. */
import { type Static, Type } from '../schema.ts'
import type { DeepReadonly, Draft, RuleContext } from './section.ts'
import { apps, checkApps, resolveApp } from './sections/apps.ts'
import { logging, resolveLogging } from './sections/logging.ts'
import { checkLogin, login, resolveLogin } from './sections/login.ts'
import { checkOwnAddress } from './sections/own-address.ts'
import { checkRouteAccess } from './sections/route-access.ts'
import { checkRouteConflicts } from './sections/route-conflicts.ts'
import { checkRouteHeaders } from './sections/route-headers.ts'
import { checkRouteMatching } from './sections/route-matching.ts'
import { checkRoutes, resolveRoute, routes } from './sections/routes.ts'
import { checkCredentials, checkSecrets, secrets } from './sections/secrets.ts'
import { checkServer, resolveServer, server } from './sections/server.ts'
import { checkService, resolveService, service } from './sections/service.ts'
import { checkSessions, resolveSessions, sessions } from './sections/sessions.ts'
import { checkStore, resolveStore, store } from './sections/store.ts'
import { checkTelemetry, resolveTelemetry, telemetry } from './sections/telemetry.ts'
import { checkTokens, resolveTokens, tokens } from './sections/tokens.ts'
import { checkUpstreams, resolveUpstream, upstreams } from './sections/upstreams.ts'
import { checkWechat, resolveWechat, wechat } from './sections/wechat.ts'
import { mapping } from './terms.ts'

export type { AppConfig, WxapiLimit } from './sections/apps.ts'
export type { HealthCheckConfig } from './sections/health-check.ts'
export type { LoggingConfig } from './sections/logging.ts'
export type { LoginHookConfig } from './sections/login.ts'
export type { HeaderEdits, RouteConfig } from './sections/routes.ts'
export type { LimitsConfig } from './sections/server.ts'
export type { ServiceConfig, ServiceScope } from './sections/service.ts'
export { storeWithoutCredentials } from './sections/store.ts'
export type { OtlpConfig } from './sections/telemetry.ts'
export type { TokensConfig } from './sections/tokens.ts'
export type { TlsClientConfig, UpstreamConfig } from './sections/upstreams.ts'

export const configSchema = mapping('The configuration of wxgate.', {
  version: Type.Literal(1, { description: 'Version of this format.', default: 1, 'x-form': '1' }),
  server,
  service,
  secrets,
  wechat,
  apps,
  tokens,
  sessions,
  login,
  store,
  logging,
  telemetry,
  upstreams,
  routes
})

/** The file after the check: defaults and placeholders filled in, secrets read. */
export type Written = Static<typeof configSchema>

export type GatewayConfig = DeepReadonly<ReturnType<typeof resolveConfig>>

const rules: readonly ((draft: Draft<Written>, context: RuleContext) => void)[] = [
  checkServer,
  checkService,
  checkSecrets,
  checkCredentials,
  checkApps,
  checkWechat,
  checkTelemetry,
  checkTokens,
  checkStore,
  checkSessions,
  checkUpstreams,
  checkOwnAddress,
  checkLogin,
  checkRoutes,
  checkRouteMatching,
  checkRouteAccess,
  checkRouteHeaders,
  checkRouteConflicts
]

/** Reports the faults that the schema cannot express. */
export function checkRules(draft: Draft<Written>, context: RuleContext): void {
  for (const rule of rules) rule(draft, context)
}

/** @param directory Base of relative paths. */
export function resolveConfig(written: Written, directory: string) {
  const server = resolveServer(written.server, directory)
  return {
    server,
    service: resolveService(written.service, directory),
    /** The first one signs and encrypts, all verify and decrypt. */
    secrets: written.secrets,
    wechat: resolveWechat(written.wechat, written.apps),
    apps: written.apps.map(resolveApp),
    tokens: resolveTokens(written.tokens),
    sessions: resolveSessions(written.sessions),
    login: resolveLogin(written.login),
    /** `memory:`, `sqlite:PATH`, `redis://…`, `rediss://…`; may hold a password, so never log
     *  it. */
    store: resolveStore(written.store, directory),
    logging: resolveLogging(written.logging),
    telemetry: resolveTelemetry(written.telemetry),
    upstreams: Object.entries(written.upstreams).map(([name, upstream]) => resolveUpstream(name, upstream)),
    routes: written.routes.map((route) => resolveRoute(route, server.limits.body))
  }
}
