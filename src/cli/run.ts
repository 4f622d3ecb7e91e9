/** `wxgate run`: the gateway, from its configuration to its last request. */
import { dirname, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { resolveGeneratedSecret } from '../config/generated-secret.ts'
import { formatProblem } from '../config/problem.ts'
import { buildGateway, type Gateway } from '../gateway.ts'
import { createSandbox } from '../sandbox/server.ts'
import { openStore } from '../store/open.ts'
import type { Store } from '../store/port.ts'
import { createAccessLog } from '../telemetry/access-log.ts'
import { createLog, createOutput, type Log } from '../telemetry/log.ts'
import { configFile, configOptions, loadConfigFrom } from './config-arguments.ts'
import type { ProcessIo } from './io.ts'

const USAGE = `Usage: wxgate run [-c FILE] [--allow NAME[,NAME]]

Runs the gateway until SIGTERM or SIGINT; a second signal ends it at once.

  -c, --config  the configuration (gateway.yaml, or what WXGATE_CONFIG says)
  --allow       what NODE_ENV=production would refuse: sandbox, generated-secrets, memory-store (or WXGATE_ALLOW)
`

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
    const running = await start(config, baseDir, io)
    return await running.untilStopped()
  } catch (error) {
    io.stderr(`wxgate could not start: ${describe(error)}\n`)
    return 1
  }
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
  const sandbox = config.wechat.apiBase === 'sandbox' ? createSandbox({ clock: systemClock }) : null
  const sandboxUrl = sandbox ? (await sandbox.listen(0, '127.0.0.1')).url : null
  const store = await openStore(config.store, { clock: systemClock, log, baseDir })
  const wechatUrl = sandboxUrl ?? config.wechat.apiBase
  const gateway = await buildGateway(config, { store, clock: systemClock, log, accessLog, wechatUrl })
  const { edge, service } = await gateway.listen()
  const scheme = config.server.tls ? 'https' : 'http'
  const edgeUrl = `${scheme}://${shownHost(edge.host)}:${edge.port}`
  const serviceUrl = `http://${shownHost(service.host)}:${service.port}`
  log.info(
    {
      edge: edgeUrl,
      service: serviceUrl,
      wechat: sandbox ? 'sandbox' : new URL(wechatUrl).origin,
      store: store.isShared ? 'shared' : 'memory'
    },
    'wxgate is listening'
  )
  void gateway.ready().then(() => log.info('wxgate is ready'))

  return {
    gateway,
    edgeUrl,
    serviceUrl,
    log,
    sandboxUrl,
    async untilStopped() {
      await io.signalled()
      // Whoever asks twice does not want to wait.
      const outcome = await Promise.race([stop(gateway, store, sandbox), io.signalled().then(() => 'at once' as const)])
      log.info(outcome === 'at once' ? 'stopped at once' : 'stopped')
      output.flush()
      return 0
    }
  }
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
