/** Reads the PROXY header of the peers that speak the protocol, before anything else reads the
 *  socket. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { canonicalAddress } from '../network.ts'
import { readProxyHeader } from './proxy-header.ts'

/** The client of a connection, as a PROXY header names it. */
export interface AnnouncedClient {
  /** Canonical. */
  readonly address: string
  readonly isTls: boolean
}

export interface ProxyProtocolOptions {
  /** Milliseconds for the whole header. */
  readonly timeoutMs: number
  /** @param address Canonical. */
  readonly isRequiredOf: (address: string) => boolean
  /** Called for each connection that was closed for its header.
   *  @param peer Canonical address. */
  readonly onRefused: (peer: string) => void
}

export interface ProxyProtocol {
  /** Null without a header, and for one that names no client.
   *  @param socket An accepted socket, or the TLS socket on top of it. */
  clientOf(socket: Duplex): AnnouncedClient | null
  /** Gives each accepted socket to `serve`, those of peers that speak the protocol behind their
   *  header. */
  inFrontOf(serve: (socket: Socket) => void): (socket: Socket) => void
  /** Connections whose header has not arrived. */
  readonly waiting: number
  /** Closes the connections whose header has not arrived. */
  close(): void
}

/** The fields of a socket that name its connection. */
interface Ends {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
}

export function createProxyProtocol(options: ProxyProtocolOptions): ProxyProtocol {
  /** Keyed by both addresses and ports: a TLSSocket does not expose the socket below it. */
  const clients = new Map<string, AnnouncedClient>()
  const waiting = new Set<Socket>()

  function remember(socket: Socket, client: AnnouncedClient): void {
    const ends = endsOf(socket)
    clients.set(ends, client)
    socket.once('close', () => {
      // The same ends may belong to the next connection already.
      if (clients.get(ends) === client) clients.delete(ends)
    })
  }

  return {
    clientOf: (socket) => (clients.size === 0 ? null : (clients.get(endsOf(socket)) ?? null)),
    inFrontOf: (serve) => (socket) => {
      const peer = canonicalAddress(socket.remoteAddress ?? '')
      if (!options.isRequiredOf(peer)) {
        serve(socket)
        return
      }
      waiting.add(socket)
      readHeader(socket, options.timeoutMs, (result) => {
        waiting.delete(socket)
        if (result === 'refused') options.onRefused(peer)
        if (result === 'refused' || result === 'gone') return
        if (result !== null) remember(socket, result)
        // An earlier connection of the same ends may still be open on this side.
        else clients.delete(endsOf(socket))
        serve(socket)
      })
    },
    get waiting() {
      return waiting.size
    },
    close() {
      for (const socket of waiting) socket.destroy()
    }
  }
}

/** `gone`: the peer ended a connection without any byte, as a health check does. */
type Result = AnnouncedClient | 'refused' | 'gone' | null

/** Calls `onResult` once. The socket is destroyed after `refused` and `gone`; otherwise the bytes
 *  behind the header are its next ones. */
function readHeader(socket: Socket, timeoutMs: number, onResult: (result: Result) => void): void {
  let bytes: Buffer = Buffer.alloc(0)
  const timer = setTimeout(() => finish('refused'), timeoutMs)

  function finish(result: Result): void {
    clearTimeout(timer)
    socket.off('readable', onReadable)
    socket.off('end', onEnd)
    socket.off('close', onEnd)
    if (result === 'refused' || result === 'gone') socket.destroy()
    else socket.off('error', onError)
    onResult(result)
  }

  function onReadable(): void {
    const chunk: Buffer | null = socket.read()
    if (chunk === null) return
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
    const header = readProxyHeader(bytes)
    if (header === 'incomplete') return
    if (header === 'invalid') {
      finish('refused')
      return
    }
    if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length))
    const { address, isTls } = header
    finish(address === null ? null : { address, isTls })
  }

  const onEnd = () => finish(bytes.length === 0 ? 'gone' : 'refused')
  const onError = () => socket.destroy()

  socket.on('readable', onReadable)
  socket.on('end', onEnd)
  socket.on('close', onEnd)
  socket.on('error', onError)
}

function endsOf({ remoteAddress, remotePort, localAddress }: Duplex & Ends): string {
  return `${remoteAddress} ${remotePort} ${localAddress}`
}
