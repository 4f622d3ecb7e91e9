/** `wxgate run`: runs the gateway from its configuration to its last request. */
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import type { GatewayConfig } from '../config/config.ts'
import { resolveGeneratedSecret } from '../config/generated-secret.ts'
import type { LoadResult } from '../config/load.ts'
import type { Problem } from '../config/problem.ts'
import { openLog } from '../telemetry/log.ts'
import { readCommandConfig } from './command-config.ts'
import { CONFIG_USAGE, type ConfigArguments, loadConfigFrom } from './config-arguments.ts'
import type { ProcessIo } from './io.ts'
import { describeStartError } from './listen-errors.ts'
import { logWarnings, start, startSandbox } from './start.ts'
import { createWorkerLink } from './worker-link.ts'
import type { ReadConfig } from './worker-messages.ts'
import { runWorkers } from './workers.ts'

const USAGE = `Usage: wxgate run [-c FILE] [--allow NAME[,NAME]]

Runs the gateway until SIGTERM or SIGINT; a second signal ends it at once.

${CONFIG_USAGE}`

/** 0 after a drain, 1 when it could not start or failed while running, 2 for a wrong command
 *  line or configuration. */
export async function run(args: readonly string[], io: ProcessIo): Promise<number> {
  const link = createWorkerLink()
  // A worker takes the current configuration from its primary: the file may hold another one, or
  // an invalid one.
  const load = async (values: ConfigArguments): Promise<LoadResult> =>
    link ? { ok: true, ...(await link.config()), routeLines: [], warnings: [] } : loadConfigFrom(values, io)
  const command = await readCommandConfig({ name: 'run', usage: USAGE, args, io, load })
  if (typeof command === 'number') return command
  const { values, name, loaded } = command
  const { warnings } = loaded
  try {
    const memory = { secret: null }
    const complete = (written: GatewayConfig) => resolveGeneratedSecret(written, memory)
    const config = complete(loaded.config)
    const count = config.server.workers === 'auto' ? availableParallelism() : config.server.workers
    if (count > 1 && !link) return await startWorkers({ config, files: loaded.files }, warnings, count, io)
    const file = resolve(io.cwd, name)
    const { files, routeLines } = loaded
    const source = { file, files, routeLines, load: () => loadConfigFrom(values, io), complete }
    const running = await start({ config, warnings, source, io, link })
    return await running.untilStopped()
  } catch (error) {
    io.stderr(`wxgate could not start: ${describeStartError(error, loaded.config, name, io.cwd)}\n`)
    return 1
  }
}

async function startWorkers(
  first: ReadConfig,
  warnings: readonly Problem[],
  count: number,
  io: ProcessIo
): Promise<number> {
  const { config } = first
  // Workers share their ports with each other and with any other process that asks for it, so check
  // that they are free.
  for (const { host, port } of [config.server, config.service]) await assertFree(host, port)
  const { log, output } = await openLog(config.logging, io.log)
  logWarnings(log, warnings)
  // One sandbox for all workers: only the sandbox that issued a login code knows it.
  const sandbox = await startSandbox(config, log)
  const status = await runWorkers({ count, first, io, log, sandboxUrl: sandbox?.url ?? null })
  await sandbox?.close()
  log.info('stopped')
  await output.flush()
  return status
}

function assertFree(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(port, host, () => probe.close(() => resolve()))
  })
}
