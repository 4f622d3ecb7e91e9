/** A TCP proxy that disturbs the connections through it. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'

import { portOf, type Teardown } from './listen.ts'
import { freePort } from './process.ts'

export type Disturbance =
  | { readonly kind: 'none' }
  /** Added to every answer. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** Every byte travels alone, in both directions. */
  | { readonly kind: 'slices' }
  /** Takes the bytes of both sides and forwards none; they are lost. */
  | { readonly kind: 'blackHole' }
  /** Forwards this many bytes of the answer; the rest is lost. */
  | { readonly kind: 'stall'; readonly afterBytes: number }
  /** Forwards this many bytes of the answer, then resets the connection. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** Forwards this many bytes of the answer, then ends its own side and goes on reading. */
  | { readonly kind: 'halfOpen'; readonly afterBytes: number }

export interface ChaosProxy {
  readonly port: number
  /** Target of new connections. */
  targetPort: number
  /** Applies to every connection without a disturbance of its own, open ones included. */
  mode: Disturbance
  /** Disturbances of the next connections, one each. */
  readonly upcoming: Disturbance[]
  /** Connections open now, and accepted ever. */
  readonly open: number
  readonly accepted: number
  /** Ends its side of the open connections, as a backend does with idle ones. */
  finish(): void
  /** Resets the open connections and refuses new ones. */
  refuse(): Promise<void>
  /** Opens the port again. */
  accept(): Promise<void>
}

/** Runs until the test ends. */
export async function startChaosProxy(t: Teardown, targetPort: number): Promise<ChaosProxy> {
  const sockets = new Set<Socket>()
  const clients = new Set<Socket>()
  let accepted = 0
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  }
  const server = createServer({ allowHalfOpen: true }, (client) => {
    accepted++
    clients.add(client)
    client.on('close', () => clients.delete(client))
    const target = connect({ port: proxy.targetPort, host: '127.0.0.1', allowHalfOpen: true })
    keep(client)
    keep(target)
    const own = proxy.upcoming.shift()
    relay(client, target, () => own ?? proxy.mode)
  })
  // Outgoing connections take none of these ports while it is closed.
  await listenOn(server, await freePort())
  const port = portOf(server)
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    return close(server)
  })
  const proxy: ChaosProxy = {
    port,
    targetPort,
    mode: { kind: 'none' },
    upcoming: [],
    get open() {
      return clients.size
    },
    get accepted() {
      return accepted
    },
    finish() {
      for (const client of clients) client.end()
    },
    refuse() {
      for (const socket of sockets) socket.resetAndDestroy()
      return close(server)
    },
    accept: () => listenOn(server, port)
  }
  return proxy
}

const listenOn = (server: Server, port: number) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve())
  })

const close = (server: Server) => new Promise<void>((resolve) => void server.close(() => resolve()))

function relay(client: Socket, target: Socket, mode: () => Disturbance): void {
  const answer = { bytes: 0 }
  const toTarget = createWriter(target)
  const toClient = createWriter(client)
  client.on('data', (chunk) => {
    const { kind } = mode()
    answer.bytes = 0
    if (kind === 'blackHole') return
    if (kind === 'slices') toTarget.slices(chunk)
    else toTarget.whole(chunk)
  })
  target.on('data', (chunk) => forward(client, toClient, chunk, answer, mode()))
  client.on('end', () => toTarget.end())
  const end = () => {
    const now = mode()
    if (now.kind === 'none' || now.kind === 'slices') toClient.end()
    if (now.kind === 'latency') setTimeout(() => toClient.end(), now.ms).unref()
  }
  client.on('close', () => target.destroy())
  target.on('end', end)
  target.on('close', end)
}

/** @param answer Bytes since the last ones of a request, those of this chunk excluded. */
function forward(client: Socket, toClient: Writer, chunk: Buffer, answer: { bytes: number }, mode: Disturbance): void {
  const before = answer.bytes
  answer.bytes += chunk.length
  if (mode.kind === 'none') toClient.whole(chunk)
  if (mode.kind === 'slices') toClient.slices(chunk)
  if (mode.kind === 'latency') setTimeout(() => toClient.whole(chunk), mode.ms).unref()
  if (!('afterBytes' in mode)) return
  const left = mode.afterBytes - before
  if (left > 0) client.write(chunk.subarray(0, left))
  if (left > chunk.length || mode.kind === 'stall') return
  // The bytes reach the reader before the end does.
  if (mode.kind === 'reset') setTimeout(() => client.resetAndDestroy(), 20)
  else client.end()
}

interface Writer {
  whole(chunk: Buffer): void
  slices(chunk: Buffer): void
  /** After everything that was given before. */
  end(): void
}

/** Keeps the order of bytes that wait for their turn. */
function createWriter(socket: Socket): Writer {
  let last: Promise<unknown> | null = null
  const next = (write: () => Promise<void>) => {
    const mine: Promise<void> = (last ?? Promise.resolve()).then(write).then(() => {
      if (last === mine) last = null
    })
    last = mine
  }
  return {
    whole(chunk) {
      if (last) next(async () => void socket.write(chunk))
      else socket.write(chunk)
    },
    slices: (chunk) =>
      next(async () => {
        for (let at = 0; at < chunk.length && socket.writable; at++) {
          socket.write(chunk.subarray(at, at + 1))
          await turn()
        }
      }),
    end: () => next(async () => void socket.end())
  }
}
