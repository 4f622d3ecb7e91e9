/** A gateway with all it needs in this process, from its store to its last request. */
import { platform } from 'node:os'
import { dirname } from 'node:path'
import { systemClock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import type { LoadResult } from '../config/load.ts'
import { buildGateway, type Gateway } from '../gateway/gateway.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/port.ts'
import { createAccessLog } from '../telemetry/access-log.ts'
import { createLog, type Log } from '../telemetry/log.ts'
import { createOutput } from '../telemetry/output.ts'
import type { ProcessIo } from './io.ts'
import { followConfig } from './reload.ts'
import type { WorkerLink } from './worker-link.ts'
import { SANDBOX_VARIABLE } from './worker-messages.ts'

/** Where the configuration came from, so that it can be read again. */
export interface ConfigSource {
  /** The whole path of the file. */
  readonly file: string
  readonly load: () => LoadResult
  readonly complete: (config: GatewayConfig) => GatewayConfig
}

/** Loaded only where it is asked for. */
export async function createSandbox() {
  return (await import('../sandbox/server.ts')).createSandbox({ clock: systemClock })
}

export interface RunningGateway {
  readonly gateway: Gateway
  readonly edgeUrl: string
  readonly serviceUrl: string
  readonly log: Log
  /** Null when the gateway talks to WeChat itself. */
  readonly sandboxUrl: string | null
  /** Resolves with the exit status after a signal. */
  untilStopped(): Promise<number>
}

/** Everything that `wxgate run` needs, listening; paths in the configuration are relative to its file. With a `link` it is
 *  one worker of several. */
export async function start(
  config: GatewayConfig,
  source: ConfigSource,
  io: ProcessIo,
  link: WorkerLink | null = null
): Promise<RunningGateway> {
  const output = createOutput(io.stdoutFd)
  const log = createLog(config.logging, output, io.isTerminal)
  const accessLog = createAccessLog(config.logging, output, io.isTerminal)
  const shared = link ? io.env[SANDBOX_VARIABLE] : undefined
  const sandbox = config.wechat.apiBase === 'sandbox' && !shared ? await createSandbox() : null
  const sandboxUrl = shared ?? (sandbox ? (await sandbox.listen(0, '127.0.0.1')).url : null)
  const store = await openStore(config.store, { clock: systemClock, log, baseDir: dirname(source.file) })
  const wechatUrl = sandboxUrl ?? config.wechat.apiBase
  const gateway = await buildGateway(config, {
    store,
    clock: systemClock,
    log,
    accessLog,
    wechatUrl,
    ...(link ? { groupMetrics: link.groupMetrics, isWorker: platform() === 'linux' } : {})
  })
  const { edge, service } = await gateway.listen()
  const scheme = config.server.tls ? 'https' : 'http'
  const edgeUrl = `${scheme}://${shownHost(edge.host)}:${edge.port}`
  const serviceUrl = `http://${shownHost(service.host)}:${service.port}`
  const wechat = sandboxUrl === null ? new URL(wechatUrl).origin : 'sandbox'
  if (link) link.say({ type: 'listening', edge: edgeUrl, service: serviceUrl })
  else log.info({ edge: edgeUrl, service: serviceUrl, wechat }, 'wxgate is listening')
  void gateway.ready().then(() => {
    log.info('wxgate is ready')
    link?.say({ type: 'ready', isReady: true })
  })
  const onTaken = link ? (taken: GatewayConfig) => link.say({ type: 'config', config: taken }) : undefined
  const follower = followConfig({ ...source, gateway, log, onTaken })
  io.onHangup(follower.reload)
  const isTold = link ? obeyPrimary(link, gateway, follower.reload) : new Promise<void>(() => {})

  return {
    gateway,
    edgeUrl,
    serviceUrl,
    log,
    sandboxUrl,
    async untilStopped() {
      await Promise.race([isTold, io.signalled()])
      follower.stop()
      // Whoever asks twice does not want to wait.
      const stopped = stop(gateway, store, sandbox)
      // A signal to the whole process group reaches a worker as well as its primary, who decides for all.
      const again = link ? new Promise<never>(() => {}) : io.signalled().then(() => 'at once' as const)
      const outcome = await Promise.race([stopped, again])
      log.info(outcome === 'at once' ? 'stopped at once' : 'stopped')
      await output.flush()
      return 0
    }
  }
}

/** Resolves when the primary wants this worker to end. */
function obeyPrimary(link: WorkerLink, gateway: Gateway, reload: () => void): Promise<void> {
  const { lifecycle, metrics } = gateway.parts
  lifecycle.isGroupReady = false
  return new Promise((drain) => {
    link.serve({
      drain,
      reload,
      groupReady(isReady) {
        lifecycle.isGroupReady = isReady
      },
      metrics: () => metrics.json()
    })
  })
}

async function stop(gateway: Gateway, store: Store, sandbox: { close(): Promise<void> } | null): Promise<'drained'> {
  await gateway.drain()
  await Promise.allSettled([store.close(), sandbox?.close()])
  return 'drained'
}

function shownHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}

/** What to do about the usual reasons why a program does not start. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown error'
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string }
  if (code === 'EADDRINUSE') return `${address}:${port} is in use. Stop what listens there, or choose another port.`
  if (code === 'EACCES' && port !== undefined) return `not allowed to listen on port ${port}. Choose one above 1023.`
  if (code === 'EADDRNOTAVAIL') return `${address} is no address of this machine.`
  return error.message
}
