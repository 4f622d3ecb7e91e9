/** What client connections may hold on to: how many one peer may have, and how long a connection may sit there with
 *  nothing going on, or with an answer that nobody reads. */
import type { Server, ServerResponse } from 'node:http'
import { isIPv6, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { LimitsConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { writeProblem } from './answer/send-problem.ts'
import type { Peers } from './network.ts'

const TOO_MANY = new ApiError('rate_limited', 'This address holds too many connections.')

const RESPONSE = Symbol('response under way')
type Carrier = Duplex & { [RESPONSE]?: ServerResponse | null }

/** The last response that was begun on a connection and is not over; requests are answered in order (RFC 9112, section
 *  9.3.2), so when it is over all are. */
export function responseUnderWay(socket: Duplex): ServerResponse | null {
  return (socket as Carrier)[RESPONSE] ?? null
}

export function responseBegan(socket: Duplex, response: ServerResponse): void {
  ;(socket as Carrier)[RESPONSE] = response
}

export function responseIsOver(socket: Duplex, response: ServerResponse): void {
  if ((socket as Carrier)[RESPONSE] === response) (socket as Carrier)[RESPONSE] = null
}

/** Sees to both limits on a server. `isTls`: its sockets cannot be told anything before the handshake. */
export function limitConnections(
  server: Server,
  { limits, peerOf, isTls }: { limits: LimitsConfig; peerOf: Peers['of']; isTls: boolean }
): void {
  server.timeout = limits.writeIdleTimeout
  server.on('timeout', (socket: Socket) => {
    // A client that waits for us is welcome to; one that has not asked for anything yet has limits.headersTimeout.
    if ((socket as Carrier)[RESPONSE] === null || socket.writableLength > 0) socket.destroy()
  })
  const counts = createPeerCounts(limits.connectionsPerPeer)
  server.on('connection', (socket: Socket) => {
    const { address, isTrusted } = peerOf(socket)
    // Peers on this machine and proxies in front hold many connections for many clients; anybody else is one client.
    if (isTrusted || isLoopback(address)) return
    const isAdmitted = counts.enter(address)
    socket.once('close', () => counts.leave(address))
    if (isAdmitted) return
    socket.on('error', () => socket.destroy())
    if (isTls) socket.destroy()
    else writeProblem(socket, TOO_MANY, '')
  })
}

export interface PeerCounts {
  /** False when the peer has more than it may; it is counted all the same until it leaves. */
  enter(address: string): boolean
  leave(address: string): void
  /** Peers with at least one connection. */
  readonly size: number
}

/** One IPv6 client has a whole /64 to take addresses from: those count as one. */
export function createPeerCounts(max: number): PeerCounts {
  const counts = new Map<string, number>()
  return {
    enter(address) {
      const key = peerKey(address)
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      return count <= max
    },
    leave(address) {
      const key = peerKey(address)
      const left = (counts.get(key) ?? 1) - 1
      if (left > 0) counts.set(key, left)
      else counts.delete(key)
    },
    get size() {
      return counts.size
    }
  }
}

function peerKey(address: string): string {
  if (!isIPv6(address)) return address
  const [left = '', right] = (address.split('%')[0] ?? '').toLowerCase().split('::')
  const head = left === '' ? [] : left.split(':')
  const tail = right === undefined || right === '' ? [] : right.split(':')
  const middle = right === undefined ? [] : Array<string>(Math.max(0, 8 - head.length - tail.length)).fill('0')
  const groups = [...head, ...middle, ...tail].slice(0, 4)
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}

/** An address that cannot be known any more is not held against anybody. */
function isLoopback(address: string): boolean {
  return address === '' || address === '::1' || address.startsWith('127.')
}
