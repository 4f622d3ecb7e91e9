/** A whole gateway on free ports of 127.0.0.1 with the sandbox behind it, torn down with the
 *  test. */
import { EventEmitter } from 'node:events'
import type { LookupFunction } from 'node:net'
import { type Clock, systemClock } from '../../src/clock.ts'
import type { GatewayConfig } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { buildGateway, type Gateway } from '../../src/gateway/gateway.ts'
import { MAX_HELD_BYTES } from '../../src/gateway/shared.ts'
import { merchantOf } from '../../src/sandbox/pay/merchants.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/server.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/port.ts'
import { createAccessLog } from '../../src/telemetry/access-log.ts'
import { createLog, formatLines } from '../../src/telemetry/log.ts'
import { openOtlp } from '../../src/telemetry/open-otlp.ts'
import type { Otlp } from '../../src/telemetry/otlp/otlp.ts'
import type { Teardown } from './listen.ts'
import { exchange } from './raw-client.ts'
import { PATIENCE } from './until.ts'

export const APPID = 'wx1234567890abcdef'
export const OTHER_APPID = 'wxfedcba0987654321'
export const SECRET = 'test-secret-of-more-than-32-characters'
export const APP_SECRET = 'canary-appsecret-0123456789abcdef'
export const SERVICE_TOKEN = 'canary-service-token-0123456789'

export interface TestGatewayOptions {
  /** As in gateway.yaml; each top-level key replaces the default's. Ports are chosen here. */
  readonly config?: Record<string, unknown>
  readonly clock?: Clock
  /** Default: `memory:`. */
  readonly store?: string | Store
  readonly sandbox?: Sandbox
  /** Replaces the machine's hosts file and name servers. */
  readonly lookup?: LookupFunction
  /** Skip the wait for readiness. */
  readonly isStarting?: boolean
}

export interface TestGateway {
  readonly gateway: Gateway
  readonly config: GatewayConfig
  /** URL of the edge, such as http://127.0.0.1:12345. */
  readonly url: string
  readonly serviceUrl: string
  readonly port: number
  /** 0 without `server.redirectHttp`. */
  readonly redirectPort: number
  readonly servicePort: number
  readonly sandbox: Sandbox
  readonly sandboxUrl: string
  readonly store: Store
  /** Set with `telemetry.otlp`. */
  readonly otlp: Otlp | null
  /** Every line logged so far, access log included. */
  readonly lines: readonly string[]
  /** POST /auth/login with `sandbox-NAME`, or any other code. */
  login(name: string, appid?: string): Promise<Login>
  call(path: string, init?: RequestInit & { token?: string }): Promise<Response>
  service(path: string, init?: RequestInit & { token?: string }): Promise<Response>
  /** Sends bytes unchanged. Returns the answer when the connection ends or has brought `count`
   *  responses. */
  raw(bytes: string | Buffer, options?: { count?: number; port?: number }): Promise<string>
}

export interface Login {
  readonly status: number
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly refresh_expires_in: number
  readonly user: { readonly id: string; readonly is_new: boolean; readonly status: string }
  readonly [member: string]: unknown
}

/** @param upstream URL of the one upstream, called `app`; routes `/api` (required), `/maybe`
 *  (optional) and `/public`. */
export function defaultConfig(upstream: string): Record<string, unknown> {
  return {
    version: 1,
    server: {
      host: '127.0.0.1',
      port: 1,
      drain: { delay: '10ms', timeout: '2s' },
      loginLimit: { max: 10000, window: '1m', by: 'ip' }
    },
    service: {
      host: '127.0.0.1',
      port: 2,
      tokens: [{ name: 'test', token: SERVICE_TOKEN, scopes: ['session', 'wxapi', 'pay', 'admin'] }]
    },
    secrets: [SECRET],
    // No test waits for it; the test of a silent WeChat sets its own.
    wechat: { apiBase: 'sandbox', timeout: '60s' },
    apps: [{ appid: APPID, name: 'shop', secret: APP_SECRET }],
    store: 'memory:',
    logging: { level: 'debug', access: true, format: 'json' },
    upstreams: { app: { targets: [{ url: upstream }] } },
    routes: [
      { path: '/api', upstream: 'app', auth: 'required' },
      { path: '/maybe', upstream: 'app', auth: 'optional' },
      { path: '/public', upstream: 'app', auth: 'public' }
    ]
  }
}

/** True for a run of the tests with the fast lane off (scripts/test-groups.js). */
const isGeneralLane = process.env.WXGATE_TEST_LANE === 'general'

/** Reads a configuration as `wxgate run` would; ports 1 and 2 become free ones. */
export function readTestConfig(config: Record<string, unknown>): GatewayConfig {
  const loaded = loadConfig({
    file: 'gateway.yaml',
    text: JSON.stringify(config),
    env: {},
    production: false,
    allow: new Set()
  })
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  const { server, service } = loaded.config
  const fastLane = server.fastLane && !isGeneralLane
  return { ...loaded.config, server: { ...server, fastLane, port: 0 }, service: { ...service, port: 0 } }
}

export async function buildTestGateway(
  t: Teardown,
  upstream: string,
  options: TestGatewayOptions = {}
): Promise<TestGateway> {
  const config = readTestConfig({ ...defaultConfig(upstream), ...options.config })
  const clock = options.clock ?? systemClock
  const lines: string[] = []
  const output = { write: (line: string) => void lines.push(line), async flush() {} }
  const otlp = await openOtlp(config.telemetry.otlp, { clock, version: '0.0.0-test', env: {}, log: () => log })
  const copy = otlp?.line ?? null
  const log = createLog(config.logging, await formatLines(config.logging, output, false), copy)
  const merchants = config.apps.flatMap(({ pay }) => (pay === null ? [] : merchantOf(pay)))
  const sandbox = options.sandbox ?? createSandbox({ clock: systemClock, merchants })
  const { url: sandboxUrl } = options.sandbox ? { url: config.wechat.apiBase } : await sandbox.listen(0, '127.0.0.1')
  const given = options.store ?? 'memory:'
  // No rule depends on the deadline of Redis, and a busy machine may miss the default.
  const patience = String(given).startsWith('redis:') ? { timeout: PATIENCE } : {}
  const store = typeof given === 'string' ? await openStore(given, { clock, log, ...patience }) : given
  const gateway = await buildGateway(config, {
    store,
    clock,
    log,
    otlp,
    accessLog: createAccessLog(config.logging, output, false, { copy }),
    version: '0.0.0-test',
    wechatUrl: sandboxUrl,
    ...(options.lookup ? { lookup: options.lookup } : {})
  })
  const { edge, redirect, service } = await gateway.listen()
  t.teardown(async () => {
    await gateway.close()
    await otlp?.close(0)
    if (typeof given === 'string') await store.close()
    if (!options.sandbox) await sandbox.close()
  })
  if (!options.isStarting) await gateway.ready()
  const url = `${config.server.tls ? 'https' : 'http'}://127.0.0.1:${edge.port}`
  const serviceUrl = `${config.service.tls ? 'https' : 'http'}://127.0.0.1:${service.port}`
  const send =
    (base: string) =>
    (path: string, init: RequestInit & { token?: string } = {}) => {
      const headers = new Headers(init.headers)
      if (init.token !== undefined) headers.set('authorization', `Bearer ${init.token}`)
      if (typeof init.body === 'string' && !headers.has('content-type')) headers.set('content-type', 'application/json')
      return fetch(base + path, { redirect: 'manual', ...init, headers })
    }
  const call = send(url)

  return {
    gateway,
    config,
    url,
    serviceUrl,
    port: edge.port,
    redirectPort: redirect?.port ?? 0,
    servicePort: service.port,
    sandbox,
    sandboxUrl,
    store,
    otlp,
    lines,
    call,
    service: send(serviceUrl),
    async login(name, appid) {
      const code = name.includes('-') ? name : `sandbox-${name}`
      const body = JSON.stringify({ code, ...(appid === undefined ? {} : { appid }) })
      const response = await call('/auth/login', { method: 'POST', body })
      return { ...((await response.json()) as object), status: response.status } as Login
    },
    raw: async (bytes, { count = 1, port = edge.port } = {}) => (await exchange(port, bytes, { count })).text
  }
}

/** Takes the room for held bodies but for so many bytes. False when other bodies hold more. */
export function fillRoom({ gateway }: TestGateway, free: number): { isFilled: boolean; release(): void } {
  const filling = gateway.parts.heldBodies.open()
  return { isFilled: filling.hold(MAX_HELD_BYTES - free), release: () => filling.release() }
}

/** A promise for the next event, for tests that wait for something to happen. */
export function next(emitter: EventEmitter, event: string): Promise<unknown[]> {
  return EventEmitter.once(emitter, event) as Promise<unknown[]>
}
