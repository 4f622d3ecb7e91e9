/** A load with fixed request times, whether or not the answers keep up: a request's time counts
 *  from when it was due, so that a slow gateway cannot look fast. Without a pace each connection
 *  asks again as soon as it is answered. */
import { connect, type Socket } from 'node:net'

export interface PacedOptions {
  readonly port: number
  /** The n-th request, from 0. */
  readonly request: (n: number) => Buffer
  readonly connections: number
  /** Null sends as fast as the answers arrive. */
  readonly perSecond: number | null
  readonly durationMs: number
  /** The expected status of every answer. */
  readonly status: number
}

export interface PacedResult {
  readonly answered: number
  /** Answers of another status, and requests that were never answered. */
  readonly failed: number
  /** Sorted, milliseconds. */
  readonly times: Float64Array
  readonly seconds: number
}

const HEAD_END = Buffer.from('\r\n\r\n')
const TICK_MS = 1
/** Longest wait for answers after the last request was due (milliseconds). */
const PATIENCE_MS = 2_000

export async function runPaced(options: PacedOptions): Promise<PacedResult> {
  const { port, request, connections, perSecond, durationMs, status } = options
  const expected = Buffer.from(`HTTP/1.1 ${status} `)
  const times: number[] = []
  const idle: Socket[] = []
  const due: number[] = []
  const dueOf = new Map<Socket, number>()
  let sent = 0
  let failed = 0
  const all = await Promise.all(Array.from({ length: connections }, () => open(port)))
  const start = performance.now()
  const end = start + durationMs

  function ask(socket: Socket, time: number): void {
    dueOf.set(socket, time)
    socket.write(request(sent++))
  }

  function onAnswer(socket: Socket, isRight: boolean): void {
    const now = performance.now()
    if (isRight) times.push(now - (dueOf.get(socket) ?? now))
    else failed++
    dueOf.delete(socket)
    const next = due.shift()
    if (next !== undefined) ask(socket, next)
    else if (perSecond === null && now < end) ask(socket, now)
    else idle.push(socket)
  }

  for (const socket of all) {
    let rest: Buffer | undefined
    socket.on('data', (chunk: Buffer) => {
      const data = rest === undefined ? chunk : Buffer.concat([rest, chunk])
      const isWhole = isComplete(data)
      rest = isWhole ? undefined : data
      if (isWhole) onAnswer(socket, data.compare(expected, 0, expected.length, 0, expected.length) === 0)
    })
    if (perSecond === null) ask(socket, start)
    else idle.push(socket)
  }

  if (perSecond !== null) {
    const total = Math.floor((perSecond * durationMs) / 1000)
    let planned = 0
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const now = performance.now()
        for (; planned < total; planned++) {
          const time = start + (planned * 1000) / perSecond
          if (time > now) break
          const socket = idle.pop()
          if (socket) ask(socket, time)
          else due.push(time)
        }
        if (planned < total) return
        clearInterval(timer)
        resolve()
      }, TICK_MS)
    })
  } else {
    await new Promise((resolve) => setTimeout(resolve, durationMs))
  }
  const deadline = performance.now() + PATIENCE_MS
  while (dueOf.size > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
  failed += dueOf.size + due.length
  for (const socket of all) socket.destroy()
  const seconds = (performance.now() - start) / 1000
  return { answered: times.length, failed, times: Float64Array.from(times).sort(), seconds }
}

export function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.on('error', reject)
  })
}

/** Every answer here has a Content-Length. */
function isComplete(data: Buffer): boolean {
  const headEnd = data.indexOf(HEAD_END)
  if (headEnd === -1) return false
  const length = /^content-length: *(\d+)/im.exec(data.toString('latin1', 0, headEnd))?.[1] ?? '0'
  return data.length >= headEnd + HEAD_END.length + Number(length)
}
