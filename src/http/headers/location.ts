/** Rewrites redirects of an upstream that does not know its public address. */
import { covers } from '../path/prefix.ts'

const NAMES = /^(?:content-)?location$/i

export interface PublicPlace {
  readonly targets: readonly { readonly origin: URL }[]
  /** The prefix that was stripped for the upstream. */
  readonly stripPrefix: string | null
  /** The name by which the upstream knows itself; null for the target's own. */
  readonly upstreamHost: string | null
  /** Host header of the client, or of the trusted proxy in front. */
  readonly clientHost: string
}

/** Rewrites Location and Content-Location for the client: a target's address becomes a path,
 *  and a path without the stripped prefix gets it back. Changes `headers` (name and value in turns)
 *  in place. */
export function rewriteLocation(headers: string[], place: PublicPlace): void {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (NAMES.test(headers[index] as string)) headers[index + 1] = rewrite(headers[index + 1] as string, place)
  }
}

function rewrite(location: string, { targets, stripPrefix, upstreamHost, clientHost }: PublicPlace): string {
  const match = /^((?:https?:)?\/\/([^/?#\\]*))(.*)$/is.exec(location)
  if (match === null) return isPath(location) ? withPrefix(location, stripPrefix) : location
  const [, origin = '', authority = '', rest = ''] = match
  const host = withoutDefaultPort(authority.toLowerCase())
  const isUpstream = upstreamHost !== null && host === withoutDefaultPort(upstreamHost.toLowerCase())
  if (isUpstream || targets.some((target) => isTarget(target.origin, authority.toLowerCase()))) {
    const path = toPath(rest)
    return isPath(path) ? withPrefix(path, stripPrefix) : path
  }
  // The upstream built the URL from X-Forwarded-Host.
  if (host !== withoutDefaultPort(clientHost.toLowerCase()) || !isPath(rest)) return location
  return origin + withPrefix(rest, stripPrefix)
}

/** Ignores the scheme: behind a proxy that ends TLS, an upstream takes https for http. */
function isTarget({ host, hostname }: URL, authority: string): boolean {
  return authority === host || authority === `${hostname}:80` || authority === `${hostname}:443`
}

function withoutDefaultPort(authority: string): string {
  return authority.replace(/:(?:80|443)?$/, '')
}

function toPath(rest: string): string {
  if (!rest.startsWith('/')) return `/${rest}`
  // A path of the target must not become an authority (RFC 3986, section 4.2).
  return /^\/[/\\]/.test(rest) ? `/.${rest}` : rest
}

function isPath(location: string): boolean {
  return location.startsWith('/') && !/^\/[/\\]/.test(location)
}

function withPrefix(path: string, stripPrefix: string | null): string {
  if (stripPrefix === null || stripPrefix === '/') return path
  // The upstream added the prefix itself, from X-Forwarded-Prefix or its own configuration.
  if (covers(stripPrefix, path.split(/[?#]/, 1)[0] ?? path)) return path
  return path === '/' ? stripPrefix : stripPrefix + path
}
