/** Decides what happens to each request header by its name, once per spelling. */
import { createSpellings } from './spellings.ts'

export type HeaderFate =
  /** Forwarded. */
  | 'pass'
  /** Removed: hop-by-hop (RFC 9110, section 7.6.1), framing, a name of the gateway in any
   *  spelling, or an override that some servers obey. */
  | 'drop'
  /** Forwarded only when the peer is a trusted proxy. */
  | 'trusted'
  /** Read by the gateway; see request-headers.ts. */
  | 'host'
  | 'authorization'
  | 'connection'
  | 'content-length'
  | 'content-type'
  | 'transfer-encoding'
  | 'x-forwarded-for'
  | 'x-forwarded-proto'
  | 'x-forwarded-host'
  | 'x-forwarded-prefix'
  | 'x-request-id'
  | 'traceparent'
  | 'tracestate'
  | 'cdn-loop'
  | 'x-http-method-override'

/** Identity headers, which only the gateway sends to upstreams. */
export const IDENTITY_HEADERS = [
  'X-OpenId',
  'X-UnionId',
  'X-AppId',
  'X-User-Id',
  'X-User-Status',
  'X-Session-Id'
] as const

/** `verified` when the gateway decrypted the open data of the body. */
export const OPEN_DATA_HEADER = 'X-Open-Data'

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
  'x-forwarded-prefix',
  'x-request-id',
  'traceparent',
  'tracestate',
  'cdn-loop',
  'x-http-method-override'
])

/** Only a trusted proxy may send these. */
const FROM_PROXIES = new Set([
  'forwarded',
  'forwarded-for',
  'x-real-ip',
  'x-forwarded-port',
  'x-forwarded-server',
  'true-client-ip',
  'cf-connecting-ip',
  'cf-connecting-ipv6',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-originating-ip',
  'x-original-forwarded-for',
  'x-remote-ip',
  'x-remote-addr',
  'x-azure-clientip',
  'x-azure-socketip',
  'client-ip',
  'fastly-client-ip',
  // Java services behind older Apache and WebLogic read these.
  'proxy-client-ip',
  'wl-proxy-client-ip'
])

/** Each makes some server act on a method, path or host other than the checked one. */
const OVERRIDES = new Set([
  'expect',
  // CGI hands it to programs as HTTP_PROXY (CVE-2016-5385).
  'proxy',
  'x-forwarded',
  'x-http-method',
  'x-method-override',
  'x-host',
  // Property names that every JavaScript object has.
  'constructor',
  'prototype',
  'hasownproperty',
  'tostring',
  'valueof'
])

const OVERRIDE_PREFIXES = ['x-original-', 'x-rewrite-', 'x-envoy-', 'x-amzn-', 'x-forwarded-']
const IDENTITY_PREFIXES = ['x-wx-', 'x-session-']
const IDENTITY = new Set<string>([...IDENTITY_HEADERS, OPEN_DATA_HEADER].map((name) => name.toLowerCase()))
/** Response headers that a route cannot set: framing and the connection (RFC 9112, section 6). */
const CONNECTION = new Set([...HOP_BY_HOP, 'content-length', 'expect', 'host'])

/** Written by the gateway or a proxy in front, besides X-Forwarded-*. A route cannot set them. */
const FORWARDING = new Set(['forwarded', 'tracestate', 'x-real-ip'])

export interface Verdict {
  readonly fate: HeaderFate
  /** The reason for a person why it does not go upstream unchanged; empty when it does. */
  readonly why: string
}

export interface HeaderNames {
  judge(name: string): Verdict
}

const PASS: Verdict = { fate: 'pass', why: '' }
const drop = (why: string): Verdict => ({ fate: 'drop', why })
const HOP = drop('it belongs to one connection (RFC 9110, section 7.6.1)')
const UNDERSCORE = drop('many servers read "_" in a name as "-"')
const SPELLING = drop('another spelling of a header that the gateway reads or writes')
const OVERRIDE = drop('some servers obey it instead of the request line that was checked')
const IDENTIFIES = drop('only the gateway names the user')
const ROUTE_OWN = drop('a route of this gateway sets it')
const TRUSTED: Verdict = { fate: 'trusted', why: 'only a trusted proxy may send it' }

const WHY_READ: Readonly<Record<string, string>> = {
  host: "the upstream gets its own; the client's is in X-Forwarded-Host",
  authorization: 'the credential stays in the gateway',
  connection: 'it belongs to one connection (RFC 9110, section 7.6.1)',
  'content-length': 'the gateway frames the body itself',
  'transfer-encoding': 'the gateway frames the body itself',
  'cdn-loop': 'the gateway adds itself to it',
  'x-http-method-override': 'a route with methodOverride applies it; elsewhere some servers would obey it unchecked'
}
const READ_VERDICTS = new Map(
  [...READ].map((name): [string, Verdict] => [
    name,
    { fate: name as HeaderFate, why: WHY_READ[name] ?? 'the gateway writes it, from a trusted proxy or new' }
  ])
)

/** @param injected Names that routes set; clients cannot send them. */
export function createHeaderNames(injected: Iterable<string>): HeaderNames {
  const own = new Set([...injected].map(canonicalName))

  function decide(name: string): Verdict {
    const lower = name.toLowerCase()
    const read = READ_VERDICTS.get(lower)
    if (read) return read
    if (FROM_PROXIES.has(lower)) return TRUSTED
    // CGI, WSGI, PHP and Rack read "_" and "-" as one; nginx also drops such names by default.
    if (lower.includes('_')) return UNDERSCORE
    const canonical = canonicalName(lower)
    const startsWith = (prefix: string) => canonical.startsWith(prefix)
    if (READ.has(canonical) || FROM_PROXIES.has(canonical)) return SPELLING
    if (HOP_BY_HOP.has(canonical)) return HOP
    if (isIdentity(canonical)) return IDENTIFIES
    if (own.has(canonical)) return ROUTE_OWN
    return OVERRIDES.has(canonical) || OVERRIDE_PREFIXES.some(startsWith) ? OVERRIDE : PASS
  }

  return { judge: createSpellings(decide) }
}

/** True when only the gateway may write this request header: a route can neither set nor inject
 *  it. */
export function isReservedRequestHeader(name: string): boolean {
  const canonical = canonicalName(name)
  return (
    isReservedResponseHeader(name) ||
    (READ.has(canonical) && canonical !== 'content-type') ||
    FORWARDING.has(canonical) ||
    canonical.startsWith('x-forwarded-')
  )
}

/** The same for a response header, in any spelling. */
export function isReservedResponseHeader(name: string): boolean {
  const canonical = canonicalName(name)
  return isIdentity(canonical) || CONNECTION.has(canonical) || canonical === '--proto--'
}

/** @param canonical A name from {@link canonicalName}. */
function isIdentity(canonical: string): boolean {
  return IDENTITY.has(canonical) || IDENTITY_PREFIXES.some((prefix) => canonical.startsWith(prefix))
}

/** Maps all spellings that some server reads as one variable to one name: letters folded,
 *  everything else a hyphen. */
export function canonicalName(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '-')
}
