/** Headers that routes set, remove and inject. */
import { type Path, quote } from '../problem.ts'
import type { Draft, Written } from '../schema.ts'
import type { RuleContext } from './rule.ts'

type Route = Draft<Written['routes'][number]>

/** Identity is ours alone to say, and framing belongs to the connection (RFC 9112, section 6). Compared after everything
 *  but letters and digits has become "-", since CGI, WSGI, PHP and Rack see one name there. */
const identity = ['x-openid', 'x-unionid', 'x-appid', 'x-user-id', 'x-user-status', 'x-session-id']
const identityPrefixes = ['x-wx-', 'x-session-']
const connection = [
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade'
]
/** Written by the gateway on every request. */
const forwarding = ['authorization', 'forwarded', 'traceparent', 'tracestate', 'x-real-ip', 'x-request-id']
const forwardingPrefixes = ['x-forwarded-']

export function canonicalHeaderName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}

/** A name that a route can neither set nor inject on its way to the upstream. */
export function isReservedRequestHeader(name: string): boolean {
  const canonical = canonicalHeaderName(name)
  return (
    isReservedResponseHeader(name) ||
    forwarding.includes(canonical) ||
    forwardingPrefixes.some((prefix) => canonical.startsWith(prefix))
  )
}

/** A name that a route cannot set on its way to the client. */
export function isReservedResponseHeader(name: string): boolean {
  const canonical = canonicalHeaderName(name)
  return (
    identity.includes(canonical) ||
    connection.includes(canonical) ||
    identityPrefixes.some((prefix) => canonical.startsWith(prefix)) ||
    canonical === '--proto--'
  )
}

export function checkHeaders(route: Route, path: Path, { report }: RuleContext): void {
  for (const side of ['requestHeaders', 'responseHeaders'] as const) {
    const isReserved = side === 'requestHeaders' ? isReservedRequestHeader : isReservedResponseHeader
    const names = new Map<string, string>()
    for (const [name, value] of Object.entries(route[side]?.set ?? {})) {
      const place = [...path, side, 'set', name]
      if (isReserved(name)) report.error(place, 'this header is reserved and cannot be set', undefined, 'key')
      checkSpelling(names, name, place, report)
      // Latin-1 is all that HTTP/1 can carry, and a line break would begin another header (RFC 9110, section 5.5).
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
      if (value !== undefined && /[\u0000-\u0008\u000a-\u001f\u007f]|[^\u0000-\u00ff]|^[ \t]|[ \t]$/.test(value)) {
        report.error(
          place,
          'the value must not hold control characters, characters beyond Latin-1, or a space at either end'
        )
      }
    }
    if (side === 'responseHeaders') continue
    for (const name of Object.keys(route.inject ?? {})) {
      const place = [...path, 'inject', name]
      if (isReserved(name)) report.error(place, 'this header is reserved and cannot be injected', undefined, 'key')
      checkSpelling(names, name, place, report)
    }
  }
}

function checkSpelling(names: Map<string, string>, name: string, place: Path, report: RuleContext['report']): void {
  const canonical = canonicalHeaderName(name)
  const other = names.get(canonical)
  if (other === undefined) names.set(canonical, name)
  else
    report.error(
      place,
      `is another spelling of ${quote(other)}, and some servers take the two for one`,
      undefined,
      'key'
    )
}
