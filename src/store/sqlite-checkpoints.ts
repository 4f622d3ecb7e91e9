/** Moves what was written from the write-ahead log into the file. That takes an fsync of many milliseconds, so a thread
 *  does it: this one has requests to serve. A process that hardly writes never starts the thread. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Log } from '../telemetry/log.ts'

const INTERVAL = 250
/** Below this many writes a checkpoint is not worth it. */
const WRITES = 500

export interface Checkpoints {
  noteWrites(count: number): void
  stop(): Promise<void>
}

export function startCheckpoints({ file, log }: { file: string; log: Log }): Checkpoints {
  let writes = 0
  let worker: Worker | null = null
  let isWorking = false

  function start(): Worker {
    // Run from source this is TypeScript, built it is JavaScript.
    const program = new URL(`./sqlite-checkpoint-worker${extname(import.meta.filename)}`, import.meta.url)
    const started = new Worker(program, { workerData: file })
    started.unref()
    started.on('message', (problem: string | null) => {
      isWorking = false
      if (problem !== null) log.debug({ problem }, 'a checkpoint of the store file failed')
    })
    started.on('error', (error) => {
      // Until the next try SQLite does it, at the size set when the file was opened.
      log.warn({ err: error }, 'the thread that checkpoints the store file has died')
      worker = null
      isWorking = false
    })
    return started
  }

  const timer = setInterval(() => {
    if (isWorking || writes < WRITES) return
    writes = 0
    isWorking = true
    worker ??= start()
    worker.postMessage('checkpoint')
  }, INTERVAL).unref()

  return {
    noteWrites(count) {
      writes += count
    },
    async stop() {
      clearInterval(timer)
      await worker?.terminate()
      worker = null
    }
  }
}
