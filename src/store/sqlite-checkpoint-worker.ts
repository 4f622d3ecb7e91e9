/** The thread of sqlite-checkpoints.ts. Every message asks for a checkpoint; the reply is null
 *  or the error. */
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/** Pages (4 KB) in the log above which it is worth blocking writers for a moment to restart the
 *  log. */
const LONG_LOG = 8_192

if (parentPort) {
  const port = parentPort
  const database = new DatabaseSync(String(workerData), { timeout: 100 })
  database.exec('PRAGMA synchronous = NORMAL; PRAGMA cache_size = -1000')
  const passive = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  const restart = database.prepare('PRAGMA wal_checkpoint(RESTART)')
  port.on('message', () => {
    try {
      // Blocks no writer. The next write restarts a log that was moved whole; under constant writes
      // that never happens by itself.
      if (Number(passive.get()?.log) > LONG_LOG) restart.get()
      port.postMessage(null)
    } catch (error) {
      port.postMessage(error instanceof Error ? error.message : 'unknown')
    }
  })
}
