/** Grammar of `upstreams.*.targets[].url`: an origin of http or https, or the path of a unix
 *  socket. */
import { isLinkLocal } from '../../http/addresses.ts'

const UNIX = 'unix:'
/** `sun_path` holds 104 bytes on macOS and the BSDs, 108 on Linux, each with a final NUL. */
const MAX_SOCKET_BYTES = 103

/** Null for a target that the gateway may connect to. */
export function targetFault(url: string): string | null {
  return url.startsWith(UNIX) ? socketFault(url.slice(UNIX.length)) : originFault(url)
}

/** The same text for every spelling of one target. The URL must be free of faults. */
export function canonicalTarget(url: string): string {
  return url.startsWith(UNIX) ? url : new URL(url).origin
}

function socketFault(path: string): string | null {
  if (!path.startsWith('/') || path.startsWith('//')) return 'must name an absolute path, such as unix:/run/app.sock'
  if (path.endsWith('/')) return 'must name a socket, not a directory'
  if (path.split('/').some((step) => step === '..' || step === '.')) return 'must not have "." or ".." in its path'
  for (const char of path) if (char < ' ' || char === '\u007f') return 'must not have control characters in its path'
  if (Buffer.byteLength(path) > MAX_SOCKET_BYTES) return `must have a path of at most ${MAX_SOCKET_BYTES} bytes`
  return null
}

function originFault(url: string): string | null {
  if (!/^https?:\/\/([^/?#\\\s@]+)(\/?)$/.test(url)) {
    if (!/^https?:\/\//.test(url)) return 'must start with http://, https:// or unix:/'
    if (/^https?:\/\/[^/]*@/.test(url)) return 'must not hold credentials'
    return 'must be an origin such as http://10.0.0.5:3000: no path, query, fragment, space or backslash'
  }
  if (!URL.canParse(url)) return 'must be a URL with a valid host and a port from 1 to 65535'
  const { hostname, port } = new URL(url)
  if (port === '0') return 'must have a port from 1 to 65535'
  if (isLinkLocal(hostname)) return 'must not be a link-local address: clouds keep the credentials of the machine there'
  return null
}
