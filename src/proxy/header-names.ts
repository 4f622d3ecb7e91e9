/** What becomes of each header name on its way through. Decided once per spelling and remembered. */

export type HeaderFate =
  /** Passed on. */
  | 'pass'
  /** Taken off: hop-by-hop (RFC 9110, section 7.6.1), framing, one of our names in any spelling, or an override that some
   *  servers obey. */
  | 'drop'
  /** Passed on only when the peer is a trusted proxy. */
  | 'trusted'
  /** Read by us; see request-headers.ts. */
  | 'host'
  | 'authorization'
  | 'connection'
  | 'content-length'
  | 'content-type'
  | 'transfer-encoding'
  | 'x-forwarded-for'
  | 'x-forwarded-proto'
  | 'x-forwarded-host'
  | 'x-request-id'
  | 'traceparent'

/** Identity headers that upstreams receive from us and from nobody else. */
export const IDENTITY_HEADERS = [
  'X-OpenId',
  'X-UnionId',
  'X-AppId',
  'X-User-Id',
  'X-User-Status',
  'X-Session-Id'
] as const

/** RFC 9110, section 7.6.1 and the older hop-by-hop fields of RFC 2616, section 13.5.1. */
export const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings'
])

const READ = new Set<string>([
  'host',
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'transfer-encoding',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
  'traceparent'
])

/** What a proxy in front may say of the request, and nobody else. */
const FROM_PROXIES = new Set([
  'forwarded',
  'tracestate',
  'x-real-ip',
  'x-forwarded-port',
  'x-forwarded-server',
  'x-forwarded-prefix',
  'true-client-ip',
  'cf-connecting-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'fastly-client-ip'
])

/** Each makes some server act on another method, path or host than the one that was checked. */
const OVERRIDES = new Set([
  'expect',
  'x-original-url',
  'x-original-uri',
  'x-original-host',
  'x-original-method',
  'x-rewrite-url',
  'x-forwarded-uri',
  'x-forwarded-method',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-host',
  // Names that JavaScript objects have of their own.
  'constructor',
  'prototype',
  'hasownproperty',
  'tostring',
  'valueof'
])

const RESERVED_PREFIXES = ['x-wx-', 'x-session-', 'x-envoy-', 'x-amzn-', 'x-forwarded-']
const RESERVED = new Set(IDENTITY_HEADERS.map((name) => name.toLowerCase()))

/** Remembered spellings; beyond this many someone is inventing names, and the memory starts anew. */
const MAX_SPELLINGS = 2_000

export interface HeaderNames {
  fateOf(name: string): HeaderFate
}

/** @param injected Names that routes set themselves: clients cannot send those either. */
export function createHeaderNames(injected: Iterable<string>): HeaderNames {
  const own = new Set([...injected].map(canonicalName))
  const remembered = new Map<string, HeaderFate>()

  function decide(name: string): HeaderFate {
    const lower = name.toLowerCase()
    if (READ.has(lower)) return lower as HeaderFate
    if (FROM_PROXIES.has(lower)) return 'trusted'
    // CGI, WSGI, PHP and Rack read "_" and "-" as one; nginx drops such names by default as well.
    if (lower.includes('_')) return 'drop'
    const canonical = canonicalName(lower)
    if (READ.has(canonical) || FROM_PROXIES.has(canonical)) return 'drop'
    if (HOP_BY_HOP.has(canonical) || OVERRIDES.has(canonical)) return 'drop'
    if (RESERVED.has(canonical) || own.has(canonical)) return 'drop'
    return RESERVED_PREFIXES.some((prefix) => canonical.startsWith(prefix)) ? 'drop' : 'pass'
  }

  return {
    fateOf(name) {
      const known = remembered.get(name)
      if (known !== undefined) return known
      if (remembered.size >= MAX_SPELLINGS) remembered.clear()
      const fate = decide(name)
      remembered.set(name, fate)
      return fate
    }
  }
}

/** Every spelling that some server maps to the same variable: letters folded, all else a hyphen. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}
