/** Taking a changed configuration over while running: on SIGHUP, and when the file changes. */
import { unwatchFile, watchFile } from 'node:fs'
import type { GatewayConfig } from '../config/config.ts'
import type { LoadResult } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import { type Gateway, NeedsRestart } from '../gateway/gateway.ts'
import type { Log } from '../telemetry/log.ts'

/** Editors and Kubernetes put a new file in the place of the old one: the state of the path tells, events of the file do
 *  not (milliseconds). */
const CHECK_INTERVAL = 500
/** Between two reloads, so that a storm of changes leaves time for requests (milliseconds). */
const PAUSE = 250

export interface ReloadOptions {
  /** The whole path of the configuration. */
  readonly file: string
  readonly load: () => LoadResult
  /** Fills in what loading leaves open. */
  readonly complete: (config: GatewayConfig) => GatewayConfig
  readonly gateway: Gateway
  readonly log: Log
  /** Told of every configuration that was taken over. */
  readonly onTaken?: ((config: GatewayConfig) => void) | undefined
}

export interface ConfigFollower {
  /** Reads the file now. All or nothing: where anything is wrong with it, the configuration before stays in force. */
  reload(): void
  stop(): void
}

export function followConfig({ file, load, complete, gateway, log, onTaken }: ReloadOptions): ConfigFollower {
  let running: Promise<void> | null = null
  let inForce = JSON.stringify(gateway.parts.config)
  let isAskedAgain = false

  async function reloadOnce(): Promise<void> {
    const loaded = load()
    if (!loaded.ok) {
      const problems = loaded.problems.map(formatProblem)
      log.error({ problems }, 'the changed configuration is not valid; the one before stays in force')
      gateway.parts.metrics.reloadDone(false)
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
      log.info({ routes: loaded.config.routes.length }, 'the configuration was reloaded')
      gateway.parts.metrics.reloadDone(true)
    } catch (error) {
      const reason = error instanceof NeedsRestart ? error.message : 'it could not be put into force'
      log.error({ err: error, reason }, 'the changed configuration was not taken over; the one before stays in force')
      gateway.parts.metrics.reloadDone(false)
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

  const onChange = (now: { mode: number }) => {
    // A file that is gone for a moment is about to come back. All is zero then; what is there may also be dated 1970, as
    // reproducible builds do it, but has a mode.
    if (now.mode !== 0) reload()
  }
  watchFile(file, { interval: CHECK_INTERVAL, persistent: false }, onChange)
  return { reload, stop: () => unwatchFile(file, onChange) }
}
