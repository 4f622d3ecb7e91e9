/** Redirects of an upstream that does not know where it stands. */

/** Makes a Location that points at the target itself, or at a path without the stripped prefix, one that a client can
 *  follow; the target's address stays private. Changes `headers` (name and value in turns) in place. */
export function rewriteLocation(headers: string[], target: URL, stripPrefix: string | null): void {
  for (let index = 0; index + 1 < headers.length; index += 2) {
    if ((headers[index] as string).toLowerCase() !== 'location') continue
    let location = headers[index + 1] as string
    if (location === target.origin || location.startsWith(`${target.origin}/`))
      location = location.slice(target.origin.length) || '/'
    const isPath = location.startsWith('/') && !location.startsWith('//')
    if (isPath && stripPrefix !== null) location = location === '/' ? stripPrefix : stripPrefix + location
    headers[index + 1] = location
  }
}
