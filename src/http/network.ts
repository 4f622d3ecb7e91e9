/** Who is at the other end of a connection, and whether what it says about others is believed. */
import { BlockList, isIP, type Socket } from 'node:net'
import type { RequestHeaders } from './headers/request-headers.ts'

export interface Peer {
  /** Without an IPv6 prefix for IPv4 addresses. */
  readonly address: string
  readonly isTrusted: boolean
  readonly proto: 'http' | 'https'
}

/** What a connection tells of its other end. */
export type PeerConnection = Pick<Socket, 'remoteAddress'> & { readonly encrypted?: boolean }

export interface Peers {
  of(connection: PeerConnection): Peer
  /** The client's own address: the rightmost of X-Forwarded-For that is no trusted proxy. */
  clientAddress(peer: Peer, headers: RequestHeaders): string
}

/** @param trusted CIDRs or addresses. */
export function createPeers(trusted: readonly string[]): Peers {
  const list = new BlockList()
  for (const entry of trusted) {
    const [address = '', prefix] = entry.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  // One of our own: who believed a connection before a reload does not answer for us.
  const peerOf = Symbol('peer')
  const isTrusted = (address: string) =>
    trusted.length > 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

  return {
    of(socket: PeerConnection & { [peerOf]?: Peer }) {
      const known = socket[peerOf]
      if (known) return known
      const address = plainAddress(socket.remoteAddress ?? '')
      const peer: Peer = { address, isTrusted: isTrusted(address), proto: socket.encrypted ? 'https' : 'http' }
      socket[peerOf] = peer
      return peer
    },
    clientAddress(peer, headers) {
      if (headers.forwardedFor === undefined) return peer.address
      const hops = headers.forwardedFor.split(',')
      for (let index = hops.length - 1; index >= 0; index--) {
        const address = hopAddress(hops[index] ?? '')
        if (isIP(address) === 0) return peer.address
        if (!isTrusted(address)) return address
      }
      return hopAddress(hops[0] ?? '')
    }
  }
}

/** Some proxies add the port: 192.0.2.1:5000, [2001:db8::1]:5000. */
function hopAddress(hop: string): string {
  const text = hop.trim()
  const [, v6, v4] = /^\[([^\]]*)\](?::\d+)?$|^([^:]*):\d+$/.exec(text) ?? []
  return plainAddress(v6 ?? v4 ?? text)
}

function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
