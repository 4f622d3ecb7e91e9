/** Starts wxgate for a benchmark as a user would: the command, a gateway.yaml, the built-in
 *  sandbox for WeChat. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, type Process, startProcess, waitUntilUp } from './processes.ts'

export const APP_ID = 'wx0123456789abcdef'
const ROOT = join(import.meta.dirname, '..')
/** Of a backend that calls WeChat's API. */
export const SERVICE_TOKEN = 'bH5wQz8Lr2Nk6Yv0-of-the-benchmark'
const SECRET = 'a secret of the benchmark, known to everybody'

/** The code of a gateway, and the Node that runs it. */
export interface Build {
  readonly root: string
  readonly node: string
}

export const OWN_BUILD: Build = { root: ROOT, node: process.execPath }

/** Paths of PEM files. */
export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
}

export interface WxgateOptions {
  /** Default: this checkout under the Node of the benchmark. */
  readonly build?: Build
  /** One core, or a list in the form of taskset. */
  readonly core: number | string
  /** Holds the configuration, the database and the log. Gateways in one folder share sessions. */
  readonly folder: string
  readonly name: string
  readonly upstreamPort: number
  readonly accessLog: boolean
  /** `sandbox` for the built-in one, or the URL of another. */
  readonly apiBase: string
  /** Default: a SQLite database in the folder. */
  readonly store?: string
  readonly tls?: TlsFiles
  /** Routes in the file, of which one is asked. Default: 1. */
  readonly routes?: number
  /** `apps[].push`; its upstream is `orders`. */
  readonly push?: Readonly<Record<string, unknown>>
  /** Default: no export. */
  readonly telemetry?: Readonly<Record<string, unknown>>
}

export interface RunningWxgate {
  readonly port: number
  readonly servicePort: number
  readonly process: Process
  readonly logFile: string
  /** From the start of the process to the first 200 of /readyz. */
  readonly readyMs: number
}

export async function startWxgate(options: WxgateOptions): Promise<RunningWxgate> {
  const { folder, name, build = OWN_BUILD, tls, routes = 1 } = options
  const [port, servicePort] = [await freePort(), await freePort()]
  const config = {
    version: 1,
    // All logins and connections of a benchmark come from one address.
    server: {
      host: '127.0.0.1',
      port,
      drain: { delay: '10ms', timeout: '1s' },
      loginLimit: { max: 1_000_000, window: '1m' },
      ...(tls === undefined ? {} : { tls: { cert: { file: tls.certFile }, key: { file: tls.keyFile } } })
    },
    service: {
      host: '127.0.0.1',
      port: servicePort,
      tokens: [{ name: 'bench', token: SERVICE_TOKEN, scopes: ['wxapi', 'admin'] }]
    },
    secrets: [SECRET],
    wechat: { apiBase: options.apiBase },
    apps: [{ appid: APP_ID, name: 'bench', secret: '0123456789abcdef0123456789abcdef', push: options.push }],
    store: options.store ?? `sqlite:${join(folder, 'wxgate.db')}`,
    logging: { level: 'info', access: options.accessLog, format: 'json' },
    telemetry: options.telemetry,
    upstreams: { orders: { targets: [{ url: `http://127.0.0.1:${options.upstreamPort}` }] } },
    routes: [
      { path: '/api/orders', upstream: 'orders' },
      ...Array.from({ length: routes - 1 }, (_, n) => ({ path: `/other/${n}`, upstream: 'orders' }))
    ]
  }
  const configFile = join(folder, `${name}.yaml`)
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify(config, null, 2))
  const logFile = join(folder, `${name}.log`)
  const log = openSync(logFile, 'a')
  const startedAt = performance.now()
  const child = startProcess(build.node, [join(build.root, 'bin/wxgate.js'), 'run', '-c', configFile], {
    core: options.core,
    stdout: log,
    env: { NODE_ENV: 'production', WXGATE_ALLOW: 'sandbox,memory-store' }
  })
  closeSync(log)
  try {
    await waitUntilUp(`${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/readyz`, child, 30_000, 200)
  } catch (error) {
    await child.stop()
    throw error
  }
  return { port, servicePort, process: child, logFile, readyMs: performance.now() - startedAt }
}

/** The sandbox of api.weixin.qq.com as a separate process. */
export async function startSandbox(core: number): Promise<{ readonly url: string; readonly process: Process }> {
  const port = await freePort()
  const child = startProcess(
    OWN_BUILD.node,
    [join(OWN_BUILD.root, 'bin/wxgate.js'), 'sandbox', '--port', String(port)],
    { core }
  )
  const url = `http://127.0.0.1:${port}`
  try {
    await waitUntilUp(url, child, 10_000)
  } catch (error) {
    await child.stop()
    throw error
  }
  return { url, process: child }
}
