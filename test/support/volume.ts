/** Bodies larger than memory should hold, and crowds of clients, seen from outside. */
import { createHash } from 'node:crypto'
import { type IncomingMessage, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import type { GatewayProcess } from './gateway-process.ts'
import { patternChunks } from './pattern.ts'

const SAMPLE_MS = 50
const BATCH = 50
const BATCH_MS = 20

/** Uploads the pattern. @returns The status and the body, which is the hash that the backend
 *  computed. */
export function upload(url: string, bytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: 'POST', headers: { 'content-length': bytes } }, (res) => {
      res.setEncoding('utf8')
      res.toArray().then((parts) => resolve(`${res.statusCode} ${parts.join('')}`), reject)
    })
    outgoing.on('error', reject)
    Readable.from(patternChunks(bytes), { objectMode: true, highWaterMark: 1 }).pipe(outgoing)
  })
}

/** Opens a download; its body is not read yet. */
export function openDownload(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    request(url, (res) => {
      res.pause()
      resolve(res)
    })
      .on('error', reject)
      .end()
  })
}

/** @param pauseMs After each chunk.
 *  @returns SHA-256 of the rest of the body, in hex. */
export async function hashOf(res: IncomingMessage, pauseMs = 0): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of res) {
    hash.update(chunk)
    if (pauseMs > 0) await delay(pauseMs)
  }
  return hash.digest('hex')
}

export interface MemoryFigures {
  /** MiB. */
  readonly median: number
  readonly peak: number
}

/** Samples the memory until it is stopped. The peak moves with the garbage of the moment; the
 *  median does not. */
export function watchMemory(gateway: Pick<GatewayProcess, 'memory'>): { readonly stop: () => MemoryFigures } {
  const samples = [gateway.memory()]
  const timer = setInterval(() => samples.push(gateway.memory()), SAMPLE_MS)
  return {
    stop() {
      clearInterval(timer)
      const sorted = samples.toSorted((a, b) => a - b)
      return { median: sorted[sorted.length >> 1] ?? Number.NaN, peak: sorted.at(-1) ?? Number.NaN }
    }
  }
}

/** Resolves when the figure has not grown for this long. @returns The figure. */
export async function untilStill(read: () => number, stillMs: number): Promise<number> {
  for (let last = read(); ; ) {
    await delay(stillMs)
    const now = read()
    if (now === last) return now
    last = now
  }
}

export interface Crowd {
  /** Outcomes so far: a status, or how a connection ended without one. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Connections without an outcome. */
  readonly waiting: number
  /** Resolves when every connection has its outcome. */
  readonly over: Promise<void>
}

/** Opens `count` connections with one request each. */
export function sendCrowd(port: number, path: string, count: number): Crowd {
  const outcomes: Record<string, number> = {}
  const sockets = new Set<Socket>()
  let ended = 0
  const one = () =>
    new Promise<void>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1' })
      sockets.add(socket)
      const end = (outcome: string) => {
        if (!sockets.delete(socket)) return
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
        ended++
        socket.destroy()
        resolve()
      }
      socket.on('data', (chunk) => end(/^HTTP\/1\.1 (\d{3}) /.exec(chunk.toString('latin1'))?.[1] ?? 'no status'))
      socket.on('error', (error) => end('code' in error ? String(error.code) : error.message))
      socket.on('close', () => end('closed'))
      socket.write(`GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`)
    })
  const all: Promise<void>[] = []
  const over = (async () => {
    for (let left = count; left > 0; left--) {
      all.push(one())
      // A burst beyond the kernel's queue of new connections would measure its repetitions.
      if (left % BATCH === 0) await delay(BATCH_MS)
    }
    await Promise.all(all)
  })()
  return {
    outcomes,
    get waiting() {
      return count - ended
    },
    over
  }
}
