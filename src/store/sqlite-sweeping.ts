/** Removes expired rows in small steps to free space. Reads never return expired rows. */
import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../clock.ts'
import type { Log } from '../telemetry/log.ts'
import { isBusy } from './sqlite-database.ts'

/** Rows per step: a request may have to wait for one step. */
const SWEEP_ROWS = 100
/** Milliseconds until the next step with more to remove, and without. */
const BUSY_INTERVAL = 20
const IDLE_INTERVAL = 1_000

interface SweepingOptions {
  readonly database: DatabaseSync
  readonly clock: Clock
  readonly log: Log
  /** Receives the number of rows removed. */
  readonly onRemoved: (count: number) => void
}

export function startSweeping({ database, clock, log, onRemoved }: SweepingOptions): { stop(): void } {
  const removals = [
    database.prepare(
      'DELETE FROM records WHERE rowid IN (SELECT rowid FROM records WHERE expires <= ? ORDER BY expires LIMIT ?)'
    ),
    database.prepare('DELETE FROM feed WHERE seq IN (SELECT seq FROM feed WHERE expires <= ? ORDER BY expires LIMIT ?)')
  ]
  let timer = schedule(IDLE_INTERVAL)

  function schedule(interval: number): NodeJS.Timeout {
    return setTimeout(step, interval).unref()
  }

  function step(): void {
    let hasMore = false
    try {
      const now = clock.now()
      for (const removal of removals) {
        const { changes } = removal.run(now, SWEEP_ROWS)
        if (changes === SWEEP_ROWS) hasMore = true
        onRemoved(Number(changes))
      }
    } catch (error) {
      // Another process holds the lock, or the file has a fault that every operation reports.
      if (!isBusy(error)) log.debug({ err: error }, 'expired records could not be removed')
    }
    timer = schedule(hasMore ? BUSY_INTERVAL : IDLE_INTERVAL)
  }

  return { stop: () => clearTimeout(timer) }
}
