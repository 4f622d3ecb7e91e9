/** Where log lines go: to standard output, in batches, without ever holding up a request or the end of the process. */
import { constants, fstatSync, openSync } from 'node:fs'
import { Socket } from 'node:net'
import { pino } from 'pino'

/** Writing never blocks a request and never throws. A reader that goes away or falls behind loses lines, nothing else. */
export interface Output {
  write(line: string): void
  /** Resolves when all is written, or the reader has had a second for it. */
  flush(): Promise<void>
}

/** Takes batches of whole lines. */
interface Sink {
  write(text: string): void
  flush(): Promise<void>
}

/** Lines wait this long at most before they are written (milliseconds), or until there are this many characters. */
const FLUSH_INTERVAL = 100
const BATCH = 32 * 1024
/** What a reader that has stopped reading may leave in our memory (bytes); the rest is dropped. */
const MAX_BACKLOG = 16 * 1024 * 1024
/** Milliseconds. */
const LAST_CHANCE = 1_000

/** @param fd 1 for standard output. */
export function createOutput(fd: number): Output {
  const sink = openPipe(fd) ?? openFile(fd)
  let batch = ''
  const writeBatch = () => {
    if (batch === '') return
    const lines = batch
    batch = ''
    sink.write(lines)
  }
  setInterval(writeBatch, FLUSH_INTERVAL).unref()
  return {
    write(line) {
      batch += line
      if (batch.length >= BATCH) writeBatch()
    },
    flush() {
      writeBatch()
      return sink.flush()
    }
  }
}

/** A pipe is opened anew, so that it can be written without blocking whoever else has it: a reader that has stopped would
 *  hold a thread for ever, and with it the end of the process. Null for what is no pipe, or a system without /proc. */
function openPipe(fd: number): Sink | null {
  let pipe: Socket
  try {
    if (!fstatSync(fd).isFIFO()) return null
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
    pipe = new Socket({ fd: own, readable: false, writable: true })
  } catch {
    return null
  }
  // Without a reader there is nobody to tell.
  pipe.on('error', () => pipe.destroy())
  pipe.unref()
  return {
    write(text) {
      if (!pipe.destroyed && pipe.writableLength < MAX_BACKLOG) pipe.write(text)
    },
    flush() {
      return new Promise((resolve) => {
        setTimeout(resolve, LAST_CHANCE)
        if (pipe.destroyed) resolve()
        else pipe.once('close', resolve).write('', () => resolve())
      })
    }
  }
}

function openFile(fd: number): Sink {
  const destination = pino.destination({ dest: fd, sync: false, maxLength: MAX_BACKLOG })
  let isBroken = false
  destination.on('error', () => {
    isBroken = true
  })
  return {
    write(text) {
      if (!isBroken) destination.write(text)
    },
    async flush() {
      try {
        destination.flushSync()
      } catch {
        isBroken = true
      }
    }
  }
}
