/** Network addresses: their canonical form, the key of one client in limits, and trusted
 *  proxies. */
import { BlockList, isIP, isIPv4 } from 'node:net'

export interface Peer {
  /** Canonical. */
  readonly address: string
  readonly isTrusted: boolean
  readonly proto: 'http' | 'https'
}

export interface Peers {
  /** True for a peer that must begin with a PROXY header.
   *  @param address Canonical. */
  speaksProxyProtocol(address: string): boolean
  of(connection: { readonly address: string; readonly isTls: boolean }): Peer
  /** The client's address: the rightmost element of X-Forwarded-For that is not a trusted
   *  proxy; the peer's address when an element is not an address. Empty elements do not count (RFC
   *  9110, section 5.6.1.2). */
  clientAddress(peer: Peer, forwardedFor: string | undefined): string
}

/** CIDRs or addresses. */
export interface PeerRanges {
  readonly trusted: readonly string[]
  readonly proxyProtocol?: readonly string[]
}

export function createPeers({ trusted, proxyProtocol = [] }: PeerRanges): Peers {
  const isTrusted = createAddressSet(trusted)

  return {
    speaksProxyProtocol: createAddressSet(proxyProtocol),
    of: ({ address, isTls }) => ({ address, isTrusted: isTrusted(address), proto: isTls ? 'https' : 'http' }),
    clientAddress(peer, forwardedFor) {
      if (forwardedFor === undefined) return peer.address
      let first = peer.address
      const hops = forwardedFor.split(',')
      for (let index = hops.length - 1; index >= 0; index--) {
        const hop = (hops[index] ?? '').trim()
        if (hop === '') continue
        const address = canonicalAddress(withoutPort(hop))
        if (isIP(address) === 0) return peer.address
        if (!isTrusted(address)) return address
        first = address
      }
      return first
    }
  }
}

/** Tells whether a canonical address is in one of the ranges. A range of IPv6-mapped addresses is a
 *  range of IPv4 addresses. Text that is not an address is in no range.
 *  @param ranges CIDRs or addresses. */
export function createAddressSet(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const range of ranges) {
    const [written = '', prefix] = range.split('/')
    const address = canonicalAddress(written)
    const family = familyOf(address)
    const mappedBits = isIP(written) === 6 && family === 'ipv4' ? 96 : 0
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Math.max(0, Number(prefix) - mappedBits), family)
  }
  return (address) => ranges.length > 0 && isIP(address) !== 0 && list.check(address, familyOf(address))
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4'
}

/** Some proxies add the port: 192.0.2.1:5000, [2001:db8::1]:5000. */
function withoutPort(hop: string): string {
  const [, v6, v4] = /^\[([^\]]*)\](?::\d+)?$|^([^:]*):\d+$/.exec(hop) ?? []
  return v6 ?? v4 ?? hop
}

/** RFC 5952, without a zone; IPv4 for an IPv6-mapped address (RFC 4291, section 2.5.5.2). Other
 *  text stays as it is. */
export function canonicalAddress(text: string): string {
  if (isIPv4(text)) return text
  const address = text.split('%', 1)[0] ?? ''
  if (isIP(address) !== 6) return text
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(plain) ?? []
  if (high === undefined || low === undefined) return plain
  const bits = Number.parseInt(high, 16) * 65_536 + Number.parseInt(low, 16)
  return [24, 16, 8, 0].map((shift) => Math.floor(bits / 2 ** shift) % 256).join('.')
}

/** The key of one client in a limit: an IPv4 address, or an IPv6 /64, the least that one
 *  subscriber holds (RFC 6177). */
export function networkKey(text: string): string {
  const address = canonicalAddress(text)
  if (isIP(address) !== 6) return address
  const [left = '', right] = address.split('::')
  const head = left === '' ? [] : left.split(':')
  const tail = right === undefined || right === '' ? [] : right.split(':')
  const zeros = right === undefined ? 0 : 8 - head.length - tail.length
  return `${[...head, ...Array<string>(zeros).fill('0'), ...tail].slice(0, 4).join(':')}::/64`
}
