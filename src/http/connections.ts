/** Client connections: the state of each, the limit per network, and the idle time. */
import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ApiError } from '../errors.ts'
import { writeProblem, writeProblemAndClose } from './answer/send-problem.ts'
import type { ConnectionRoom } from './connection-room.ts'
import { canonicalAddress, networkKey, type Peer, type Peers } from './network.ts'

const TOO_MANY = new ApiError('rate_limited', 'This address holds too many connections. Close some of them.')

export const OVERLOADED = new ApiError('overloaded', 'The gateway has reached its connection limit. Try again shortly.')

/** One connection of a client. Its address is read at once: a socket that the client has left
 *  has none. A proxy that speaks the PROXY protocol announces another one. */
export class ClientConnection {
  /** Canonical. */
  readonly address: string
  readonly isTls: boolean
  /** The current response; null between two requests, undefined before the first. */
  response: ServerResponse | null | undefined = undefined
  /** Responses to pipelined requests that wait for the current one, in order. */
  readonly waiting: ServerResponse[] = []
  /** The newest request was answered before it was read completely: that answer also covers a
   *  fault in the rest. */
  isAnswered = false
  /** The connection's parse error was answered; nothing follows it. */
  isOver = false
  /** Accepted beyond the connection limit: only health checks are served. */
  isSurplus = false
  /** The reason why Node's server, and no lane, serves the next request. */
  laneReason = 'off'
  /** Called when Node's server has answered a request. */
  onAnswered: (() => void) | null = null
  #peer: Peer | null = null
  #peers: Peers | null = null

  constructor(address: string, isTls: boolean) {
    this.address = address
    this.isTls = isTls
  }

  /** The peer as `peers` classifies it. A reload replaces `peers`. */
  peer(peers: Peers): Peer {
    if (this.#peer === null || this.#peers !== peers) {
      this.#peers = peers
      this.#peer = peers.of(this)
    }
    return this.#peer
  }
}

export interface ConnectionLimits {
  /** Milliseconds without progress after which an answer that the client does not read is given
   *  up. */
  readonly writeIdleTimeout: number
  /** Connections per network (see {@link networkKey}). */
  readonly connectionsPerPeer: number
}

export interface Connections {
  /** Counts an accepted socket. One beyond a limit gets its answer and is closed. */
  add(socket: Socket): void
  /** The TLS socket of a counted one, whose address it has. */
  addSecure(socket: Socket): void
  /** The connection of a socket that a request or an error came from. */
  of(socket: Duplex): ClientConnection
  /** Requests from `stream` belong to the connection, too. */
  join(stream: Duplex, connection: ClientConnection): void
  /** Connections that are open. */
  readonly size: number
}

export interface ConnectionsOptions {
  /** Undefined for a listener without a limit. */
  readonly room: ConnectionRoom | undefined
  /** Called for each connection beyond the limit. */
  readonly onSurplus: () => void
  readonly server: Server
  /** Closes connections that are between two requests. */
  readonly closeIdle: () => void
  readonly limits: ConnectionLimits
  readonly peers: () => Peers
  /** A TLS socket cannot carry an answer before the handshake. */
  readonly isTls: boolean
  /** The client that a proxy announced; null for the peer itself. */
  readonly announced: (socket: Duplex) => { readonly address: string; readonly isTls: boolean } | null
}

/** Watches the connections of a server that is not listening yet. */
export function watchConnections(options: ConnectionsOptions): Connections {
  const { server, limits, room, peers, isTls } = options
  const known = new WeakMap<Duplex, ClientConnection>()
  const counts = createPeerCounts(limits.connectionsPerPeer)
  let size = 0

  function remember(socket: Duplex & { remoteAddress?: string | undefined }): ClientConnection {
    const client = options.announced(socket) ?? { address: canonicalAddress(socket.remoteAddress ?? ''), isTls: false }
    const connection = new ClientConnection(client.address, isTls || client.isTls)
    connection.isSurplus = room !== undefined && size > room.served
    known.set(socket, connection)
    return connection
  }

  function left(): void {
    size--
  }

  /** True when the connection may stay. */
  function findRoom(socket: Socket, connection: ClientConnection): boolean {
    if (room === undefined || size <= room.served) return true
    connection.isSurplus = true
    options.onSurplus()
    options.closeIdle()
    if (size <= room.served + room.refused) return true
    if (isTls) socket.destroy()
    else writeProblemAndClose(socket, OVERLOADED)
    return false
  }

  function count(socket: Socket, connection: ClientConnection): void {
    size++
    const { address } = connection
    // Trusted proxies and peers on this machine hold connections for many clients.
    const isCounted = !connection.peer(peers()).isTrusted && !isLoopback(address)
    const isAdmitted = !isCounted || counts.enter(address)
    socket.on('close', left)
    if (isCounted) socket.on('close', () => counts.leave(address))
    if (!findRoom(socket, connection) || isAdmitted) return
    socket.on('error', () => socket.destroy())
    if (isTls) socket.destroy()
    else writeProblem(socket, TOO_MANY, '')
  }

  server.timeout = limits.writeIdleTimeout
  server.on('timeout', (socket: Socket) => {
    const connection = known.get(socket)
    // limits.headersTimeout covers a connection before its first request; a running request has its
    // own deadlines.
    if (connection === undefined || connection.response === null || socket.writableLength > 0) socket.destroy()
  })

  return {
    add(socket) {
      const connection = remember(socket)
      // The client disconnected before the connection was accepted.
      if (connection.address === '') socket.destroy()
      else count(socket, connection)
    },
    addSecure: (socket) => void remember(socket),
    of: (socket) => known.get(socket) ?? remember(socket),
    join: (stream, connection) => void known.set(stream, connection),
    get size() {
      return size
    }
  }
}

export interface PeerCounts {
  /** False above the limit; the connection still counts until it leaves. */
  enter(address: string): boolean
  leave(address: string): void
  /** Networks with at least one connection. */
  readonly size: number
}

export function createPeerCounts(max: number): PeerCounts {
  const counts = new Map<string, number>()
  return {
    enter(address) {
      const key = networkKey(address)
      const count = (counts.get(key) ?? 0) + 1
      counts.set(key, count)
      return count <= max
    },
    leave(address) {
      const key = networkKey(address)
      const left = (counts.get(key) ?? 1) - 1
      if (left > 0) counts.set(key, left)
      else counts.delete(key)
    },
    get size() {
      return counts.size
    }
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}
