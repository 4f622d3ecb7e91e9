/** What is written, which is known to be right by now, as the program uses it. */
import { resolve as resolvePath } from 'node:path'
import type { GatewayConfig, HeaderEdits, LoginHookConfig, RouteConfig, UpstreamConfig } from './config.ts'
import type { Report } from './report.ts'
import { isMemory, SANDBOX } from './rules/trust.ts'
import type { Written } from './schema.ts'
import { parseDuration, parseSize } from './units.ts'

const WECHAT = 'https://api.weixin.qq.com'

export function resolveConfig(written: Written, directory: string, report: Report): GatewayConfig {
  const { server, service, tokens, sessions, logging } = written
  const { limits } = server
  return {
    server: {
      host: server.host,
      port: server.port,
      workers: server.workers,
      trustedProxies: server.trustedProxies,
      tls:
        server.tls === undefined
          ? null
          : {
              certFile: resolvePath(directory, server.tls.cert.file),
              keyFile: resolvePath(directory, server.tls.key.file)
            },
      drain: { delay: ms(server.drain.delay), timeout: ms(server.drain.timeout) },
      limits: {
        uri: bytes(limits.uri),
        headers: bytes(limits.headers),
        body: bytes(limits.body),
        headersTimeout: ms(limits.headersTimeout),
        bodyIdleTimeout: ms(limits.bodyIdleTimeout),
        writeIdleTimeout: ms(limits.writeIdleTimeout),
        keepAliveTimeout: ms(limits.keepAliveTimeout),
        connectionsPerPeer: limits.connectionsPerPeer
      },
      loginLimit: { ...server.loginLimit, window: ms(server.loginLimit.window) }
    },
    service: { host: service.host, port: service.port, tokens: service.tokens },
    secrets: written.secrets,
    wechat: { apiBase: apiBase(written), timeout: ms(written.wechat.timeout) },
    apps: written.apps.map(({ appid, name, secret, virtualPay }) => ({
      appId: appid,
      name: name ?? null,
      secret,
      virtualPay:
        virtualPay === undefined
          ? null
          : { appKey: virtualPay.appKey ?? null, sandboxAppKey: virtualPay.sandboxAppKey ?? null }
    })),
    tokens: {
      issuer: tokens.issuer,
      algorithm: tokens.algorithm,
      accessTtl: ms(tokens.accessTtl),
      refreshTtl: ms(tokens.refreshTtl),
      refreshMaxTtl: ms(tokens.refreshMaxTtl),
      openId: tokens.openid
    },
    sessions: { sessionKeyTtl: ms(sessions.sessionKeyTtl), storeGrace: ms(sessions.storeGrace) },
    login: { hook: loginHook(written) },
    store: storeAddress(written.store, directory),
    logging: { level: logging.level, access: logging.access, format: logging.format ?? null },
    upstreams: Object.entries(written.upstreams).map(([name, upstream]) => resolveUpstream(name, upstream)),
    routes: written.routes.map((route, index) => resolveRoute(route, limits.body, report.line(['routes', index])))
  }
}

function apiBase({ wechat, apps }: Written): string {
  if (wechat.apiBase !== undefined) return wechat.apiBase.replace(/\/+$/, '')
  return apps.every((app) => app.secret === SANDBOX) ? SANDBOX : WECHAT
}

/** A path in the file starts from where the file is. */
function storeAddress(store: string, directory: string): string {
  if (isMemory(store)) return 'memory:'
  return store.startsWith('sqlite:') ? `sqlite:${resolvePath(directory, store.slice('sqlite:'.length))}` : store
}

function loginHook({ login: { hook } }: Written): LoginHookConfig | null {
  return hook === undefined ? null : { ...hook, timeout: ms(hook.timeout) }
}

function resolveUpstream(name: string, written: Written['upstreams'][string]): UpstreamConfig {
  const { targets, balance, timeouts, retries, tls } = written
  return {
    name,
    targets: targets.map(({ url, weight }) => ({ url: new URL(url).origin, weight })),
    balance,
    timeouts: { connect: ms(timeouts.connect), response: ms(timeouts.response), idle: ms(timeouts.idle) },
    retries: { attempts: retries.attempts, on: retries.on },
    tls: {
      ca: tls.ca ?? null,
      cert: tls.cert ?? null,
      key: tls.key ?? null,
      serverName: tls.serverName ?? null,
      insecureSkipVerify: tls.insecureSkipVerify
    }
  }
}

function resolveRoute(written: Written['routes'][number], bodyLimit: string, line: number): RouteConfig {
  const { rateLimit, timeout } = written
  return {
    path: written.path,
    methods: written.methods ?? null,
    upstream: written.upstream,
    auth: written.auth,
    apps: written.apps ?? null,
    stripPrefix: written.stripPrefix ?? null,
    timeout: timeout === undefined ? null : ms(timeout),
    bodyLimit: bytes(written.bodyLimit ?? bodyLimit),
    rateLimit: rateLimit === undefined ? null : { max: rateLimit.max, window: ms(rateLimit.window), by: rateLimit.by },
    requestHeaders: headerEdits(written.requestHeaders),
    responseHeaders: headerEdits(written.responseHeaders),
    identityHeaders: written.identity.headers,
    allow: written.allow,
    caseSensitive: written.caseSensitive,
    openData: written.openData,
    require: written.require,
    inject: written.inject,
    line
  }
}

function headerEdits({ set, remove }: Written['routes'][number]['requestHeaders']): HeaderEdits {
  return { set, remove }
}

function ms(text: string): number {
  return known(parseDuration(text))
}

function bytes(text: string): number {
  return known(parseSize(text))
}

/** The pattern of the schema lets nothing else through. */
function known(value: number | null): number {
  if (value === null) throw new TypeError('a duration or size that the check should have refused')
  return value
}
