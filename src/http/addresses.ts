/** IP addresses, ranges and listening hosts. */
import { BlockList, isIP } from 'node:net'

/** Null when the range is fine, else what is wrong with it. */
export function rangeFault(text: string): string | null {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || address.includes('%') || rest.length > 0)
    return 'must be an IP address or a CIDR range such as 10.0.0.0/8'
  if (prefix === undefined) return null
  const bits = /^(0|[1-9][0-9]{0,2})$/.test(prefix) ? Number(prefix) : -1
  if (bits < 0 || bits > (family === 6 ? 128 : 32)) {
    return `must have a prefix length from 1 to ${family === 6 ? 128 : 32} after the "/"`
  }
  const isEveryMapped = family === 6 && bits <= 96 && mappedPrefix.check(address, 'ipv6')
  return bits === 0 || isEveryMapped ? 'trusts everybody, so anybody could choose the address that we see' : null
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

/** Where clouds keep the credentials of a machine (169.254.169.254), and nothing that is a business service. */
export function isLinkLocal(host: string): boolean {
  return isIn(linkLocal, host)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || isIn(loopback, host)
}

/** Listening on the one takes the port of the other as well. */
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

/** BlockList looks through the IPv6 form of an IPv4 address by itself. */
function isIn(list: BlockList, host: string): boolean {
  const address = host.replace(/^\[|\]$/g, '').replace(/%.*$/, '')
  const family = isIP(address)
  return family !== 0 && list.check(address, family === 6 ? 'ipv6' : 'ipv4')
}
