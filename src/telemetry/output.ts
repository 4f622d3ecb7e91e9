/** Standard output for log lines: written in batches, without blocking a request or the end of
 *  the process. */
import { constants, fstatSync, openSync, write as writeFile } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'

export interface LogTarget {
  /** 1 for standard output. */
  readonly fd: number
  /** The stream over `fd`, used where it is a socket. */
  readonly stream: Writable
  /** True when a person is likely to read the output. */
  readonly isTerminal: boolean
}

/** Writing never blocks and never throws. A slow reader or a full disk loses lines, nothing
 *  else. */
export interface Output {
  write(line: string): void
  /** Resolves when everything is written, or after a second. */
  flush(): Promise<void>
  /** Calls `listener` with the number of lost lines once lines can be written again. */
  onResumed(listener: (lostLines: number) => void): void
  /** Lost since the start, the lines included that `onResumed` has not yet reported. */
  lostLines(): number
}

/** Takes batches of whole lines. */
interface Sink {
  /** @param lines Belong to the sink until it has released them. */
  write(lines: Buffer): void
  flush(): Promise<void>
}

interface SinkEvents {
  lost(lines: number): void
  written(): void
  released(lines: Buffer): void
}

/** Longest wait of a line (milliseconds), and the bytes that end the wait early. */
const FLUSH_INTERVAL = 100
const BATCH = 64 * 1024
/** Up to this size the lines of a batch are copied: a backlog of small batches takes little
 *  memory. */
const SMALL_BATCH = 16 * 1024
/** Batches that wait for lines. New memory for each would cost more than the lines in it. */
const MAX_SPARE = 4
/** Of one UTF-16 unit in UTF-8. */
const MAX_UNIT_BYTES = 3
/** Largest backlog for a reader that has stopped reading (bytes). Lines beyond it are lost. */
const MAX_BACKLOG = 16 * 1024 * 1024
/** Time for the last lines at the end of the process (milliseconds). */
const LAST_CHANCE = 1_000
const NEWLINE = 0x0a
const LINE_BREAK = Buffer.from('\n')

export function createOutput(target: LogTarget): Output {
  let lostLines = 0
  let allLostLines = 0
  const spare: Buffer[] = []
  const batches = new WeakSet<ArrayBufferLike>()
  let batch = newBatch()
  let used = 0
  const listeners: ((lostLines: number) => void)[] = []
  const sink = openSink(target, {
    lost(lines) {
      lostLines += lines
      allLostLines += lines
    },
    written() {
      if (lostLines === 0) return
      const lines = lostLines
      lostLines = 0
      for (const listener of listeners) listener(lines)
    },
    released({ buffer }) {
      if (batches.has(buffer) && spare.length < MAX_SPARE) spare.push(Buffer.from(buffer))
    }
  })

  function newBatch(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(BATCH)
    batches.add(bytes.buffer)
    return bytes
  }

  const writeBatch = () => {
    if (used === 0) return
    const lines = batch.subarray(0, used)
    used = 0
    if (lines.length <= SMALL_BATCH) sink.write(Buffer.from(lines))
    else {
      batch = spare.pop() ?? newBatch()
      sink.write(lines)
    }
  }
  setInterval(writeBatch, FLUSH_INTERVAL).unref()
  return {
    // A line becomes bytes at once: the parts that it was joined from are still in the caches.
    write(line) {
      const mostBytes = line.length * MAX_UNIT_BYTES
      if (mostBytes > BATCH - used) writeBatch()
      if (mostBytes > BATCH) sink.write(Buffer.from(line))
      else used += batch.write(line, used)
    },
    flush() {
      writeBatch()
      return sink.flush()
    },
    onResumed: (listener) => void listeners.push(listener),
    lostLines: () => allLostLines
  }
}

function openSink({ fd, stream }: LogTarget, events: SinkEvents): Sink {
  const stat = fstatSync(fd)
  if (stat.isFIFO()) return openPipe(fd, events) ?? openFile(fd, events)
  return stat.isSocket() ? streamSink(stream, events) : openFile(fd, events)
}

/** Opens a pipe again to make it non-blocking for this process only: a reader that has stopped
 *  would block a thread for ever, and with it the end of the process. Null on a system without
 *  /proc. */
function openPipe(fd: number, events: SinkEvents): Sink | null {
  try {
    const own = openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
    const pipe = new Socket({ fd: own, readable: false, writable: true })
    pipe.on('error', () => pipe.destroy())
    pipe.unref()
    return streamSink(pipe, events)
  } catch {
    return null
  }
}

/** For pipes and sockets, which libuv writes without blocking. */
function streamSink(stream: Writable, events: SinkEvents): Sink {
  return {
    write(lines) {
      if (stream.destroyed || stream.writableLength >= MAX_BACKLOG) {
        events.lost(countLines(lines))
        events.released(lines)
        return
      }
      stream.write(lines, (error) => {
        events.released(lines)
        if (!error) events.written()
      })
    },
    flush() {
      return new Promise((resolve) => {
        setTimeout(resolve, LAST_CHANCE)
        if (stream.destroyed) resolve()
        else stream.once('close', resolve).write('', () => resolve())
      })
    }
  }
}

/** For files and terminals: one write at a time, on a thread. */
function openFile(fd: number, events: SinkEvents): Sink {
  const pending: Buffer[] = []
  let pendingBytes = 0
  let writing: Buffer | null = null
  /** The last write ended within a line, so the next one starts with a line break. */
  let isTorn = false
  const idle: (() => void)[] = []

  function writePending(): void {
    if (writing !== null) return
    writing = pending.shift() ?? null
    if (writing === null) {
      for (const resolve of idle.splice(0)) resolve()
      return
    }
    pendingBytes -= writing.length
    writeFrom(isTorn ? Buffer.concat([LINE_BREAK, writing]) : writing, 0)
  }

  function writeFrom(bytes: Buffer, start: number): void {
    writeFile(fd, bytes, start, bytes.length - start, null, (error, count) => {
      const end = start + (error ? 0 : count)
      // Only happens on a terminal that another program made non-blocking.
      if (error?.code === 'EAGAIN') return void setTimeout(writeFrom, FLUSH_INTERVAL, bytes, start)
      if (!error && end < bytes.length) return writeFrom(bytes, end)
      if (end > 0) isTorn = bytes[end - 1] !== NEWLINE
      // The newline that ends a torn line is no line of its own.
      if (error) events.lost(countLines(bytes.subarray(isTorn ? Math.max(end, 1) : end)))
      else events.written()
      if (writing !== null) events.released(writing)
      writing = null
      writePending()
    })
  }

  return {
    write(lines) {
      if (pendingBytes >= MAX_BACKLOG) {
        events.lost(countLines(lines))
        events.released(lines)
        return
      }
      pending.push(lines)
      pendingBytes += lines.length
      writePending()
    },
    flush() {
      return new Promise((resolve) => {
        setTimeout(resolve, LAST_CHANCE)
        idle.push(resolve)
        writePending()
      })
    }
  }
}

function countLines(bytes: Buffer): number {
  let lines = 0
  for (const byte of bytes) if (byte === NEWLINE) lines++
  return lines
}
