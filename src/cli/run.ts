/** `wxgate run`: the gateway, from its configuration to its last request. */
import cluster from 'node:cluster'
import { createServer } from 'node:net'
import { availableParallelism, platform } from 'node:os'
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { resolveGeneratedSecret } from '../config/generated-secret.ts'
import { formatProblem } from '../config/problem.ts'
import { buildGateway, type Gateway } from '../gateway.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/port.ts'
import { createAccessLog } from '../telemetry/access-log.ts'
import { createLog, createOutput, type Log } from '../telemetry/log.ts'
import { configFile, configOptions, loadConfigFrom } from './config-arguments.ts'
import type { ProcessIo } from './io.ts'
import { createWorkerLink, type WorkerLink } from './worker-link.ts'
import { SANDBOX_VARIABLE } from './worker-messages.ts'
import { runWorkers } from './workers.ts'

const USAGE = `Usage: wxgate run [-c FILE] [--allow NAME[,NAME]]

Runs the gateway until SIGTERM or SIGINT; a second signal ends it at once.

  -c, --config  the configuration (gateway.yaml, or what WXGATE_CONFIG says)
  --allow       what NODE_ENV=production would refuse: sandbox, generated-secrets, memory-store (or WXGATE_ALLOW)
`

/** Milliseconds beyond a whole drain before a worker is taken for stuck. */
const STOP_SLACK = 2_000

/** 0 after a drain, 1 when it failed while running or could not start, 2 for a wrong command line or configuration. */
export async function run(args: readonly string[], io: ProcessIo): Promise<number> {
  let values: { config?: string; allow?: string[]; help?: boolean }
  let loaded: ReturnType<typeof loadConfigFrom>
  try {
    values = parseArgs({ args: [...args], options: { ...configOptions, help: { type: 'boolean', short: 'h' } } }).values
    if (values.help) {
      io.stdout(USAGE)
      return 0
    }
    loaded = loadConfigFrom(values, io)
  } catch (error) {
    io.stderr(`wxgate run: ${error instanceof Error ? error.message : 'wrong arguments'}\n\n${USAGE}`)
    return 2
  }
  for (const warning of loaded.warnings) io.stderr(`${formatProblem(warning)} [warning]\n`)
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.stderr(`${formatProblem(problem)}\n`)
    return 2
  }
  try {
    const config = resolveGeneratedSecret(loaded.config)
    const baseDir = dirname(resolve(io.cwd, configFile(values, io.env)))
    const count = config.server.workers === 'auto' ? availableParallelism() : config.server.workers
    if (count > 1 && cluster.isPrimary) return await startWorkers(config, count, io)
    const running = await start(config, baseDir, io)
    return await running.untilStopped()
  } catch (error) {
    io.stderr(`wxgate could not start: ${describe(error)}\n`)
    return 1
  }
}

async function startWorkers(config: GatewayConfig, count: number, io: ProcessIo): Promise<number> {
  // Workers share their ports with one another, and would do so with a stranger.
  for (const { host, port } of [config.server, config.service]) await assertFree(host, port)
  const output = createOutput(io.stdoutFd)
  const log = createLog(config.logging, output, io.isTerminal)
  // One for all workers: a login code is known to the sandbox that gave it out.
  const sandbox = config.wechat.apiBase === 'sandbox' ? await createSandbox() : null
  const sandboxUrl = sandbox ? (await sandbox.listen(0, '127.0.0.1')).url : null
  const { delay, timeout } = config.server.drain
  const status = await runWorkers({ count, io, log, sandboxUrl, stopTimeout: delay + timeout + STOP_SLACK })
  await sandbox?.close()
  log.info('stopped')
  output.flush()
  return status
}

/** Loaded only where it is asked for. */
async function createSandbox() {
  return (await import('../sandbox/server.ts')).createSandbox({ clock: systemClock })
}

function assertFree(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(port, host, () => probe.close(() => resolve()))
  })
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

/** Everything that `wxgate run` needs, listening. */
export async function start(config: GatewayConfig, baseDir: string, io: ProcessIo): Promise<RunningGateway> {
  const output = createOutput(io.stdoutFd)
  const log = createLog(config.logging, output, io.isTerminal)
  const accessLog = createAccessLog(config.logging, output, io.isTerminal)
  const link = createWorkerLink()
  const shared = link ? io.env[SANDBOX_VARIABLE] : undefined
  const sandbox = config.wechat.apiBase === 'sandbox' && !shared ? await createSandbox() : null
  const sandboxUrl = shared ?? (sandbox ? (await sandbox.listen(0, '127.0.0.1')).url : null)
  const store = await openStore(config.store, { clock: systemClock, log, baseDir })
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
  const isTold = link ? obeyPrimary(link, gateway) : new Promise<void>(() => {})

  return {
    gateway,
    edgeUrl,
    serviceUrl,
    log,
    sandboxUrl,
    async untilStopped() {
      await Promise.race([isTold, io.signalled()])
      // Whoever asks twice does not want to wait.
      const stopped = stop(gateway, store, sandbox)
      // A signal to the whole process group reaches a worker as well as its primary, who decides for all.
      const again = link ? new Promise<never>(() => {}) : io.signalled().then(() => 'at once' as const)
      const outcome = await Promise.race([stopped, again])
      log.info(outcome === 'at once' ? 'stopped at once' : 'stopped')
      output.flush()
      return 0
    }
  }
}

/** Resolves when the primary wants this worker to end. */
function obeyPrimary(link: WorkerLink, gateway: Gateway): Promise<void> {
  const { lifecycle, metrics } = gateway.parts
  lifecycle.isGroupReady = false
  return new Promise((drain) => {
    link.serve({
      drain,
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
