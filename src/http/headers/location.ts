/** Redirects of an upstream that does not know where it stands. */

const NAMES = /^(?:content-)?location$/i

/** Makes a Location or Content-Location that points at a target of the upstream, or at a path without the stripped
 *  prefix, one that a client can follow; the targets' addresses stay private. Changes `headers` (name and value in turns)
 *  in place. */
export function rewriteLocation(
  headers: string[],
  targets: readonly { readonly origin: URL }[],
  stripPrefix: string | null
): void {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if (!NAMES.test(headers[index] as string)) continue
    const location = headers[index + 1] as string
    const path = pathOnTarget(location, targets) ?? location
    headers[index + 1] = isPath(path) ? withPrefix(path, stripPrefix) : path
  }
}

/** Null when the reference names some other place. */
function pathOnTarget(location: string, targets: readonly { readonly origin: URL }[]): string | null {
  const match = /^(?:https?:)?\/\/([^/?#\\]*)(.*)$/is.exec(location)
  if (match === null) return null
  const authority = (match[1] ?? '').toLowerCase()
  const port = /:(\d*)$/.exec(authority)?.[1]
  // The scheme does not matter: behind TLS that ends in front of it, an upstream takes https for http.
  const isOurs = targets.some(
    ({ origin }) =>
      authority === origin.host || ((port === '80' || port === '443') && authority === `${origin.hostname}:${port}`)
  )
  if (!isOurs) return null
  const rest = match[2] ?? ''
  if (!rest.startsWith('/')) return `/${rest}`
  // What was a path of the target must not become an authority (RFC 3986, section 4.2).
  return /^\/[/\\]/.test(rest) ? `/.${rest}` : rest
}

function isPath(location: string): boolean {
  return location.startsWith('/') && !/^\/[/\\]/.test(location)
}

function withPrefix(path: string, stripPrefix: string | null): string {
  if (stripPrefix === null || stripPrefix === '/') return path
  return path === '/' ? stripPrefix : stripPrefix + path
}
