/** Applies a changed configuration while running: on SIGHUP, and when the file or a file of a
 *  secret changes. */
import type { GatewayConfig } from '../config/config.ts'
import type { LoadResult } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import type { Gateway } from '../gateway/gateway.ts'
import { NeedsRestart } from '../gateway/restart-only.ts'
import type { Log } from '../telemetry/log.ts'
import { type FileState, watchFiles } from '../watched-files.ts'

/** Pause between two reloads, which leaves time for requests (milliseconds). */
const PAUSE = 250

export interface ReloadOptions {
  /** Files of the configuration in force, as they were read. */
  readonly files: readonly FileState[]
  readonly load: () => LoadResult
  /** Fills in what loading leaves open. */
  readonly complete: (config: GatewayConfig) => GatewayConfig
  readonly gateway: Gateway
  readonly log: Log
  /** Called with every configuration that was applied. */
  readonly onTaken?: ((config: GatewayConfig) => void) | undefined
}

export interface ConfigFollower {
  /** Reads the file now. A file with an error changes nothing. */
  reload(): void
  stop(): void
}

export function followConfig({ files, load, complete, gateway, log, onTaken }: ReloadOptions): ConfigFollower {
  let running: Promise<void> | null = null
  let inForce = JSON.stringify(gateway.parts.config)
  let isAskedAgain = false

  async function reloadOnce(): Promise<void> {
    const loaded = load()
    watched.use(loaded.files)
    const warnings = loaded.warnings.map(formatProblem)
    for (const problem of warnings) log.warn({ problem }, 'the configuration has a warning')
    if (!loaded.ok) {
      const problems = loaded.problems.map(formatProblem)
      log.error({ problems }, 'the changed configuration is not valid; the one before stays in force')
      gateway.parts.history.reloaded({ isSuccessful: false, problems })
      return
    }
    try {
      const config = complete(loaded.config)
      const text = JSON.stringify(config)
      if (text !== inForce) {
        await gateway.reload(config)
        onTaken?.(config)
      }
      inForce = text
      gateway.parts.history.taken({ routeLines: loaded.routeLines, warnings })
      log.info({ routes: loaded.config.routes.length }, 'the configuration was reloaded')
      gateway.parts.history.reloaded({ isSuccessful: true, problems: [] })
    } catch (error) {
      const reason = error instanceof NeedsRestart ? error.message : 'it could not be put into force'
      log.error({ err: error, reason }, 'the changed configuration was not taken over; the one before stays in force')
      gateway.parts.history.reloaded({ isSuccessful: false, problems: [reason] })
    }
  }

  async function reloadUntilQuiet(): Promise<void> {
    do {
      isAskedAgain = false
      await reloadOnce()
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
    } while (isAskedAgain)
    running = null
  }

  function reload(): void {
    if (running) isAskedAgain = true
    else running = reloadUntilQuiet()
  }

  const watched = watchFiles(reload)
  watched.use(files)
  return { reload, stop: watched.stop }
}
