/** The thread of sqlite-checkpoints.ts: every message asks for a checkpoint, every answer is null or what went wrong. */
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

/** Pages (of 4 KB) in the log from which it is worth keeping writers out for a moment so that the log can start anew. */
const LONG_LOG = 8_192

if (parentPort) {
  const port = parentPort
  const database = new DatabaseSync(String(workerData), { timeout: 100 })
  database.exec('PRAGMA synchronous = NORMAL; PRAGMA cache_size = -1000')
  const passive = database.prepare('PRAGMA wal_checkpoint(PASSIVE)')
  const restart = database.prepare('PRAGMA wal_checkpoint(RESTART)')
  port.on('message', () => {
    try {
      // Most of the work, in nobody's way. A log that was moved whole is begun anew by the next write; when there are
      // always more writes that never happens by itself.
      if (Number(passive.get()?.log) > LONG_LOG) restart.get()
      port.postMessage(null)
    } catch (error) {
      port.postMessage(error instanceof Error ? error.message : 'unknown')
    }
  })
}
