/** `wxgate run`: the gateway, from its configuration to its last request. */
import { createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { GatewayConfig } from '../config/config.ts'
import { resolveGeneratedSecret } from '../config/generated-secret.ts'
import type { LoadResult } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { createLog } from '../telemetry/log.ts'
import { createOutput } from '../telemetry/output.ts'
import { configFile, configOptions, loadConfigFrom } from './config-arguments.ts'
import type { ProcessIo } from './io.ts'
import { createSandbox, describe, start } from './start.ts'
import { refuseCommandLine } from './usage.ts'
import { createWorkerLink } from './worker-link.ts'
import { runWorkers } from './workers.ts'

const USAGE = `Usage: wxgate run [-c FILE] [--allow NAME[,NAME]]

Runs the gateway until SIGTERM or SIGINT; a second signal ends it at once.

  -c, --config  the configuration (gateway.yaml, or what WXGATE_CONFIG says)
  --allow       what NODE_ENV=production would refuse: sandbox, generated-secrets, memory-store (or WXGATE_ALLOW)
`

/** 0 after a drain, 1 when it failed while running or could not start, 2 for a wrong command line or configuration. */
export async function run(args: readonly string[], io: ProcessIo): Promise<number> {
  const link = createWorkerLink()
  let values: { config?: string; allow?: string[]; help?: boolean }
  let loaded: LoadResult
  try {
    values = parseArgs({ args: [...args], options: { ...configOptions, help: { type: 'boolean', short: 'h' } } }).values
    if (values.help) {
      io.stdout(USAGE)
      return 0
    }
    // A worker runs by what its primary has in force, which one that replaces another may not find in the file any more.
    loaded = link ? { ok: true, config: await link.config(), routeLines: [], warnings: [] } : loadConfigFrom(values, io)
  } catch (error) {
    return refuseCommandLine('run', error, USAGE, io)
  }
  for (const warning of loaded.warnings) io.stderr(`${formatProblem(warning)} [warning]\n`)
  if (!loaded.ok) {
    for (const problem of loaded.problems) io.stderr(`${formatProblem(problem)}\n`)
    return 2
  }
  try {
    const memory = { secret: null }
    const complete = (config: GatewayConfig) => resolveGeneratedSecret(config, memory)
    const config = complete(loaded.config)
    const file = resolve(io.cwd, configFile(values, io.env))
    const count = config.server.workers === 'auto' ? availableParallelism() : config.server.workers
    if (count > 1 && !link) return await startWorkers(config, count, io)
    const running = await start(config, { file, load: () => loadConfigFrom(values, io), complete }, io, link)
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
  const status = await runWorkers({ count, config, io, log, sandboxUrl })
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
