/** IP addresses, ranges and listening hosts. */
import { BlockList, isIP } from 'node:net'

/** Null for an address or a CIDR range, else the fault. */
export function rangeFault(text: string): string | null {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || rest.length > 0)
    return 'must be an IP address or a CIDR range such as 10.0.0.0/8'
  if (prefix === undefined) return null
  const bits = /^(0|[1-9][0-9]{0,2})$/.test(prefix) ? Number(prefix) : -1
  const longest = family === 6 ? 128 : 32
  return bits < 0 || bits > longest ? `must have a prefix length from 0 to ${longest} after the "/"` : null
}

/** The same for a range of trusted proxies. */
export function trustFault(text: string): string | null {
  const fault = rangeFault(text)
  if (fault !== null) return fault
  const [address = '', prefix] = text.split('/')
  if (prefix === undefined) return null
  const bits = Number(prefix)
  const family = isIP(address)
  const isEveryMapped = family === 6 && bits <= 96 && mappedPrefix.check(address, 'ipv6')
  return bits === 0 || isEveryMapped
    ? 'trusts every address, so any client could choose the address that the gateway sees'
    : null
}

/** IPv4 addresses written as IPv6 (RFC 4291, section 2.5.5.2). */
const mappedPrefix = new BlockList()
mappedPrefix.addSubnet('::ffff:0:0', 96, 'ipv6')

const linkLocal = new BlockList()
linkLocal.addSubnet('169.254.0.0', 16, 'ipv4')
linkLocal.addSubnet('fe80::', 10, 'ipv6')

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Link-local. Clouds serve a machine's credentials at 169.254.169.254; no business service
 *  listens there. */
export function isLinkLocal(host: string): boolean {
  return isIn(linkLocal, host)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || isIn(loopback, host)
}

/** True when a listener on one host also takes the port of the other. */
export function isSameListener(a: string, b: string): boolean {
  const isEverywhere = (host: string) => host === '0.0.0.0' || host === '::'
  return (
    a === b ||
    isEverywhere(a) ||
    isEverywhere(b) ||
    (a === 'localhost' && isLoopback(b)) ||
    (b === 'localhost' && isLoopback(a))
  )
}

/** True when a connection from this machine to `host` reaches a listener on `listener`, judged
 *  by the names. */
export function reachesListener(host: string, listener: string): boolean {
  const target = withoutBrackets(host)
  const isAny = (address: string) => address === '0.0.0.0' || address === '::'
  if (target === listener) return true
  if (isAny(listener)) return (isLoopback(target) || isAny(target)) && (listener === '::' || !target.includes(':'))
  if (!isLoopback(listener)) return false
  return target === 'localhost' || isAny(target) || (listener === 'localhost' && isLoopback(target))
}

/** The share of all IPv4 addresses, and of the global IPv6 addresses (2000::/3), that the
 *  ranges cover together. */
export function coveredShare(ranges: readonly string[]): { ipv4: number; ipv6: number } {
  const blocks = ranges.map(blockOf)
  const [first, last] = [0x2000n << 112n, (0x4000n << 112n) - 1n]
  return {
    ipv4: share(
      blocks.filter(({ family }) => family === 4),
      0n,
      (1n << 32n) - 1n
    ),
    ipv6: share(
      blocks.filter(({ family }) => family === 6),
      first,
      last
    )
  }
}

interface Block {
  readonly family: 4 | 6
  readonly first: bigint
  readonly last: bigint
}

/** An IPv6 range of mapped IPv4 addresses is an IPv4 range. */
function blockOf(range: string): Block {
  const [address = '', prefix] = range.split('/')
  const isMapped = isIP(address) === 6 && mappedPrefix.check(address, 'ipv6')
  const [family, width] = isIP(address) === 4 || isMapped ? ([4, 32] as const) : ([6, 128] as const)
  const bits = prefix === undefined ? width : Number(prefix) - (isMapped ? 96 : 0)
  const size = 1n << BigInt(width - bits)
  const value = isIP(address) === 4 ? ipv4Value(address) : ipv6Value(address) & ((1n << BigInt(width)) - 1n)
  const first = value - (value % size)
  return { family, first, last: first + size - 1n }
}

function share(blocks: readonly Block[], first: bigint, last: bigint): number {
  let [covered, next] = [0n, first]
  for (const block of blocks.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    const from = block.first > next ? block.first : next
    const to = block.last < last ? block.last : last
    if (to < from) continue
    covered += to - from + 1n
    next = to + 1n
  }
  return Number((covered * 10_000n) / (last - first + 1n)) / 10_000
}

function ipv4Value(address: string): bigint {
  return address.split('.').reduce((value, part) => value * 256n + BigInt(part), 0n)
}

/** URL prints every IPv6 address in its shortest form of hexadecimal groups. */
function ipv6Value(address: string): bigint {
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string) => text.split(':').filter((group) => group !== '')
  const missing = 8 - groups(head).length - groups(tail).length
  const all = [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)]
  return all.reduce((value, group) => value * 65_536n + BigInt(`0x${group}`), 0n)
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

/** BlockList also matches the IPv6 form of an IPv4 address. */
function isIn(list: BlockList, host: string): boolean {
  const address = withoutBrackets(host).replace(/%.*$/, '')
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4')
}
