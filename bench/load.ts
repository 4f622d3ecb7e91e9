/** A closed-loop HTTP load: each connection has one request under way at any time. It writes
 *  prepared bytes and only finds the end of each answer, so that it costs much less than the
 *  subject. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

export interface LoadOptions {
  readonly port: number
  /** Any certificate is accepted. */
  readonly isTls?: boolean
  /** Prepared requests; the connections take them in turns. */
  readonly requests: readonly Buffer[]
  readonly connections: number
  readonly durationMs: number
  /** Called when all connections are open, before the first request. */
  readonly onConnected?: () => void
  /** The body of a correct answer. Any other answer counts as an error. */
  readonly expectedBody: string
}

export interface LoadResult {
  readonly requests: number
  readonly errors: number
  /** The first wrong answer, for a message. */
  readonly firstError: string | undefined
  readonly seconds: number
  /** Times of single requests in milliseconds. */
  readonly p50: number
  readonly p99: number
}

const OK = Buffer.from('HTTP/1.1 200')
const GIVE_UP_MS = 5000

export function getRequest(path: string, token: string | undefined): Buffer {
  const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
  return Buffer.from(
    `GET ${path} HTTP/1.1\r\nHost: bench.example\r\nAccept: application/json\r\nUser-Agent: wxgate-bench\r\n${authorization}\r\n`
  )
}

/** A POST of JSON. */
export function postRequest(path: string, token: string | undefined, body: string): Buffer {
  const head = getRequest(path, token).toString('latin1').replace('GET ', 'POST ').slice(0, -2)
  return Buffer.from(`${head}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { port, requests, connections, durationMs, isTls = false } = options
  const expected = Buffer.from(options.expectedBody)
  const latencies: number[] = []
  let errors = 0
  let firstError: string | undefined
  let next = 0
  const sockets: Socket[] = []
  const waiting: (() => void)[] = []
  let start = performance.now()
  let end = start + durationMs

  function onConnected(send: () => void): void {
    if (waiting.push(send) < connections) return
    options.onConnected?.()
    start = performance.now()
    end = start + durationMs
    for (const begin of waiting) begin()
  }

  function drive(): Promise<void> {
    return new Promise((resolve, reject) => {
      const target = { port, host: '127.0.0.1', noDelay: true }
      const socket: Socket = isTls ? connectTls({ ...target, rejectUnauthorized: false }) : connect(target)
      let sentAt = 0
      let pending: Buffer | undefined

      function send(): void {
        sentAt = performance.now()
        if (sentAt >= end) {
          socket.destroy()
          resolve()
          return
        }
        const request = requests[next % requests.length]
        next += 1
        if (request !== undefined) socket.write(request)
      }

      sockets.push(socket)
      socket.on(isTls ? 'secureConnect' : 'connect', () => onConnected(send))
      socket.on('data', (chunk: Buffer) => {
        const data = pending === undefined ? chunk : Buffer.concat([pending, chunk])
        const isRight = startsWith(data, OK) && endsWith(data, expected)
        if (!isRight && !isComplete(data)) {
          pending = data
          return
        }
        pending = undefined
        if (isRight || data.includes(expected)) {
          latencies.push(performance.now() - sentAt)
        } else {
          errors += 1
          firstError ??= data.toString('latin1', 0, 600)
        }
        send()
      })
      socket.on('error', reject)
      socket.on('close', () => {
        if (performance.now() < end) reject(new Error('a connection was closed by the gateway'))
        resolve()
      })
    })
  }

  // One timer for all: a timer per socket would need a reset with every request.
  const giveUp = setTimeout(() => {
    for (const socket of sockets) if (!socket.destroyed) socket.destroy(new Error('no answer in time'))
  }, durationMs + GIVE_UP_MS)
  try {
    await Promise.all(Array.from({ length: connections }, drive))
  } finally {
    clearTimeout(giveUp)
    for (const socket of sockets) socket.destroy()
  }
  const seconds = (performance.now() - start) / 1000
  const sorted = Float64Array.from(latencies).sort()
  return { requests: latencies.length, errors, firstError, seconds, p50: at(sorted, 0.5), p99: at(sorted, 0.99) }
}

function at(sorted: Float64Array, quantile: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * quantile))] ?? Number.NaN
}

function startsWith(data: Buffer, start: Buffer): boolean {
  return data.length >= start.length && data.compare(start, 0, start.length, 0, start.length) === 0
}

function endsWith(data: Buffer, end: Buffer): boolean {
  return data.length >= end.length && data.compare(end, 0, end.length, data.length - end.length) === 0
}

/** The slow check, for errors and chunked answers. */
function isComplete(data: Buffer): boolean {
  const headEnd = data.indexOf('\r\n\r\n')
  if (headEnd === -1) return false
  const head = data.toString('latin1', 0, headEnd)
  const length = /^content-length: *(\d+)/im.exec(head)?.[1]
  if (length !== undefined) return data.length >= headEnd + 4 + Number(length)
  if (/^transfer-encoding: *chunked/im.test(head)) return endsWith(data, Buffer.from('0\r\n\r\n'))
  return true
}
