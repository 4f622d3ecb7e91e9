/** Moves writes from the write-ahead log into the file. A thread does it, since it takes an
 *  fsync of many milliseconds. A process with few writes never starts the thread. */
import { extname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Log } from '../telemetry/log.ts'

const INTERVAL = 250
/** Writes between two checkpoints. */
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
    // The extension is .ts in the source and .js in the build.
    const program = new URL(`./sqlite-checkpoint-worker${extname(import.meta.filename)}`, import.meta.url)
    const started = new Worker(program, { workerData: file })
    started.unref()
    started.on('message', (problem: string | null) => {
      isWorking = false
      if (problem !== null) log.debug({ problem }, 'a checkpoint of the store file failed')
    })
    started.on('error', (error) => {
      // Until the next try SQLite checkpoints by itself, at the size set when the file was opened.
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
