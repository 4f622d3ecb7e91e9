/** Runs a gateway in this process, from its store to its last request. */
import { platform } from 'node:os'
import { dirname } from 'node:path'
import { systemClock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import type { LoadResult } from '../config/load.ts'
import { formatProblem, type Problem } from '../config/problem.ts'
import { buildGateway, type Gateway } from '../gateway/gateway.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/port.ts'
import { createAccessLog } from '../telemetry/access-log.ts'
import { type Log, openLog } from '../telemetry/log.ts'
import { openOtlp } from '../telemetry/open-otlp.ts'
import type { FileState } from '../watched-files.ts'
import type { ProcessIo } from './io.ts'
import { followConfig } from './reload.ts'
import { version } from './version.ts'
import type { WorkerLink } from './worker-link.ts'
import { REPLACEMENT_VARIABLE, SANDBOX_VARIABLE } from './worker-messages.ts'

export interface StartOptions {
  readonly config: GatewayConfig
  readonly warnings?: readonly Problem[]
  /** Null for a configuration without a file. */
  readonly source: ConfigSource | null
  readonly io: ProcessIo
  /** Set in a worker. */
  readonly link?: WorkerLink | null
  /** For a person at a terminal: a signal ends it at once when no request is running. */
  readonly isInteractive?: boolean
}

/** A file that can be read again. */
export interface ConfigSource {
  /** Absolute path. */
  readonly file: string
  /** Lines of the routes of the configuration; empty in a worker, which gets it without its
   *  text. */
  readonly routeLines: readonly number[]
  /** See {@link LoadResult}. */
  readonly files: readonly FileState[]
  readonly load: () => LoadResult
  /** Fills in what loading leaves open. */
  readonly complete: (config: GatewayConfig) => GatewayConfig
}

export interface RunningGateway {
  readonly gateway: Gateway
  readonly edgeUrl: string
  readonly serviceUrl: string
  /** Null when the gateway uses WeChat itself. */
  readonly sandboxUrl: string | null
  /** Resolves with the exit status after a signal. */
  untilStopped(): Promise<number>
}

/** Time for the last export at the end of the process (milliseconds). */
const LAST_EXPORT = 1_000

interface ListenerUrls {
  readonly edge: string
  /** Undefined without `server.redirectHttp`. */
  readonly redirect?: string
  readonly service: string
}

interface Closable {
  close(): Promise<void>
}

/** Resolves when the gateway listens. */
export async function start(options: StartOptions): Promise<RunningGateway> {
  const { config, source, io, link = null } = options
  const otlp = await openOtlp(config.telemetry.otlp, {
    clock: systemClock,
    version: version(),
    env: io.env,
    log: () => log
  })
  const copy = otlp?.line ?? null
  const { log, output } = await openLog(config.logging, io.log, copy)
  const warnings = options.warnings ?? []
  logWarnings(log, warnings)
  const accessLog = createAccessLog(config.logging, output, io.log.isTerminal, { copy })
  const shared = link ? io.env[SANDBOX_VARIABLE] : undefined
  const sandbox = shared === undefined ? await startSandbox(config, log) : null
  const sandboxUrl = shared ?? sandbox?.url ?? null
  const baseDir = source === null ? io.cwd : dirname(source.file)
  // The other workers know of ends of sessions that an empty file would not.
  const mustExist = link !== null && io.env[REPLACEMENT_VARIABLE] !== undefined
  const { waitReplicas } = config.sessions
  let storeUrl = config.store
  const storeOptions = { clock: systemClock, log, baseDir, mustExist, waitReplicas, currentUrl: () => storeUrl }
  const store = await openStore(config.store, storeOptions)
  const gateway = await buildGateway(config, {
    store,
    otlp,
    clock: systemClock,
    log,
    accessLog,
    lostLogLines: output.lostLines,
    version: version(),
    wechatUrl: sandboxUrl ?? config.wechat.apiBase,
    checksApps: sandboxUrl === null,
    ...(source ? { source: { ...source, warnings: warnings.map(formatProblem) } } : {}),
    ...(link ? { groupLink: link, isWorker: platform() === 'linux' } : {})
  })
  const urls = await listen(gateway, config)
  // The guard ends a request whose handler throws. An error beyond it must not end other requests.
  io.onFault((error) => log.error({ err: error }, 'an error outside of every request; the process goes on'))
  if (link) link.say({ type: 'listening', ...urls })
  else log.info({ ...urls, wechat: sandboxUrl === null ? config.wechat.apiBase : 'sandbox' }, 'wxgate is listening')
  void gateway.ready().then(() => {
    log.info('wxgate is ready')
    link?.say({ type: 'ready', isReady: true })
  })
  const onTaken = (taken: GatewayConfig) => {
    storeUrl = taken.store
    link?.say({ type: 'config', config: taken })
  }
  const follower = source === null ? null : followConfig({ ...source, gateway, log, onTaken })
  const reload = follower?.reload ?? (() => {})
  io.onHangup(reload)
  const isTold = link ? obeyPrimary(link, gateway, reload) : new Promise<never>(() => {})

  return {
    gateway,
    edgeUrl: urls.edge,
    serviceUrl: urls.service,
    sandboxUrl,
    async untilStopped() {
      const signal = await Promise.race([isTold, io.signalled()])
      follower?.stop()
      const isInteractive = options.isInteractive || (signal === 'SIGINT' && io.log.isTerminal)
      const stopped = stop(gateway, store, sandbox, isInteractive && gateway.active === 0)
      // A signal to the whole process group reaches a worker and its primary; the primary decides
      // for all.
      const again = link ? new Promise<never>(() => {}) : io.signalled().then(() => 'stopped at once')
      log.info(await Promise.race([stopped, again]))
      await Promise.all([output.flush(), otlp?.close(LAST_EXPORT)])
      return 0
    }
  }
}

/** Starts the built-in sandbox when the configuration asks for it. Its code is loaded only then. */
export async function startSandbox(
  { wechat, apps }: GatewayConfig,
  log: Log
): Promise<(Closable & { readonly url: string }) | null> {
  if (wechat.apiBase !== 'sandbox') return null
  const { createSandbox } = await import('../sandbox/server.ts')
  const { merchantOf } = await import('../sandbox/pay/merchants.ts')
  const merchants = apps.flatMap(({ pay }) => (pay === null ? [] : merchantOf(pay)))
  const sandbox = createSandbox({ clock: systemClock, merchants })
  const { url } = await sandbox.listen(0, '127.0.0.1')
  log.warn({ sandbox: url }, 'the sandbox replaces WeChat: every client can log in as every user')
  return { url, close: () => sandbox.close() }
}

export function logWarnings(log: Log, warnings: readonly Problem[]): void {
  for (const warning of warnings) log.warn({ problem: formatProblem(warning) }, 'the configuration has a warning')
}

async function listen(gateway: Gateway, config: GatewayConfig): Promise<ListenerUrls> {
  const { edge, redirect, service } = await gateway.listen()
  const schemeOf = ({ tls }: { readonly tls: object | null }) => (tls === null ? 'http' : 'https')
  return {
    ...(redirect === undefined ? {} : { redirect: `http://${shownHost(redirect.host)}:${redirect.port}` }),
    edge: `${schemeOf(config.server)}://${shownHost(edge.host)}:${edge.port}`,
    service: `${schemeOf(config.service)}://${shownHost(service.host)}:${service.port}`
  }
}

/** Resolves when the primary tells this worker to end. */
function obeyPrimary(link: WorkerLink, gateway: Gateway, reload: () => void): Promise<void> {
  const { lifecycle, group } = gateway.parts
  lifecycle.isGroupReady = false
  return new Promise((drain) => {
    link.serve({
      drain,
      reload,
      groupReady(isReady) {
        lifecycle.isGroupReady = isReady
      },
      answer: group.answer
    })
  })
}

async function stop(gateway: Gateway, store: Store, sandbox: Closable | null, isAtOnce: boolean): Promise<string> {
  await (isAtOnce ? gateway.close() : gateway.drain())
  await Promise.allSettled([store.close(), sandbox?.close()])
  return 'stopped'
}

function shownHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}
