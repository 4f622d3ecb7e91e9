/** `routes`: path, upstream and access. */
import { type Static, Type } from '../../schema.ts'
import type { Path } from '../problem.ts'
import { type DeepReadonly, type Draft, entries, type RuleContext } from '../section.ts'
import {
  duration,
  flag,
  headerMap,
  limit,
  mapping,
  matching,
  oneOf,
  section,
  size,
  text,
  tokenPattern
} from '../terms.ts'
import { type Bytes, bytes, milliseconds } from '../units.ts'
import { type AppsDraft, appId, reportUnknownApps } from './apps.ts'
import { claimForm, claimPattern } from './login.ts'
import { checkCors, cors, resolveCors } from './route-cors.ts'
import { checkGates, gateShape, resolveGates } from './route-gates.ts'
import { checkIdentity, identity, resolveIdentity } from './route-identity.ts'
import { checkVariants, resolveVariants, variants } from './route-variants.ts'
import { checkUpstreamName, type UpstreamsDraft } from './upstreams.ts'

function headerEdits(description: string) {
  return section(description, {
    set: headerMap('Headers to set, by name.', 'Value of the header.'),
    remove: Type.Array(matching('Header name.', tokenPattern, 'a header name'), {
      description: 'Headers to remove.',
      default: [],
      maxItems: 128
    })
  })
}

const route = mapping('A route. The longest matching path wins.', {
  path: text('Prefix on segment boundaries: `/api` covers `/api` and `/api/x`, not `/apis`.'),
  methods: Type.Optional(
    Type.Array(matching('HTTP method.', '^[A-Z][A-Z-]{0,31}$', 'an HTTP method in capitals'), {
      description: 'Methods of the route. Default: all.',
      minItems: 1,
      uniqueItems: true
    })
  ),
  upstream: text('Name of the upstream.'),
  auth: oneOf(
    '`required`: an accepted token, or 401. `optional`: forwarded without identity when there is no token. `public`: ignores the token.',
    ['required', 'optional', 'public'],
    'required'
  ),
  apps: Type.Optional(
    Type.Array(appId('AppID.'), {
      description: 'Apps whose tokens are accepted. Default: every app.',
      minItems: 1,
      uniqueItems: true
    })
  ),
  stripPrefix: Type.Optional(text('Start of the path that is removed for the upstream.')),
  timeout: Type.Optional(
    duration(
      "Time to the head of the answer, over all tries, waiting for a target included. Default: the upstream's `timeouts.response`.",
      undefined,
      { min: '1ms' }
    )
  ),
  bodyLimit: Type.Optional(size('Longest request body. Default: `server.limits.body`.')),
  rateLimit: Type.Optional(
    mapping(
      'Limit of the requests of one caller.',
      limit(['user', 'ip'], 'Counted per user, over all sessions, or per client address.')
    )
  ),
  maxConnectionAge: duration('A WebSocket is ended after this long. 0s: as long as its token is accepted.', '0s'),
  requestHeaders: headerEdits('Changes to the headers that the upstream receives.'),
  responseHeaders: headerEdits('Changes to the headers that the client receives.'),
  rewriteLocation: flag(
    'Replace the address of a target in `Location`, and put the stripped prefix back, in a 201, 202 or 3xx.',
    true
  ),
  ...gateShape,
  cors,
  methodOverride: flag(
    'A POST with `X-HTTP-Method-Override: PATCH`, PUT or DELETE counts as that method, in matching too. wx.request has no PATCH.',
    false
  ),
  variants,
  identity,
  allow: section('Readings of a path that are refused unless the upstream needs them.', {
    encodedSlash: flag('`%2F` inside a segment.', false),
    matrixParams: flag('`;name=value` after a segment.', false),
    doubleEncoding: flag('`%25` followed by two hex digits.', false),
    suffix: flag(
      'The upstream does not read `/admin.json` as `/admin`. With false, such a path must satisfy the stricter route.',
      false
    ),
    scriptName: flag(
      'The upstream does not read `/index.php/admin` as `/admin`. With false, such a path must satisfy the stricter route.',
      false
    ),
    rawPercent: flag('Percent-encoded bytes that are not UTF-8, such as GBK.', false),
    getBody: flag('The body of a GET or HEAD. With false, it is dropped together with its Content-Type.', false)
  }),
  caseSensitive: flag(
    'The upstream distinguishes upper and lower case. With false, a path that differs from a stricter route only in case must satisfy the stricter one.',
    false
  ),
  openData: flag('Decrypt `encryptedData` and `iv` of a JSON body on the way.', false),
  channel: flag(
    "Bodies travel encrypted with the user's own key (用户加密网络通道). Other requests are refused. See docs/channel.md.",
    false
  ),
  require: Type.Record(
    Type.String({ pattern: claimPattern }),
    Type.Array(text('An accepted value.'), { description: 'Accepted values.', minItems: 1, uniqueItems: true }),
    {
      description: 'Claims of the login hook that the caller must have, each with one of the values listed.',
      additionalProperties: false,
      default: {},
      'x-keys': `not ${claimForm}`
    }
  ),
  inject: headerMap('Headers that carry a claim of the login hook, header name to claim name.', 'Name of the claim.')
})

export const routes = Type.Array(route, {
  description: 'The routes: path, upstream and access.',
  maxItems: 10_000
})

type WrittenRoute = Static<typeof route>
export type RouteDraft = Draft<WrittenRoute>
export type RoutesDraft = Draft<{ routes: readonly WrittenRoute[] }>
export type RouteConfig = DeepReadonly<ReturnType<typeof resolveRoute>>
export type HeaderEdits = RouteConfig['requestHeaders']

export function checkRoutes(draft: RoutesDraft & AppsDraft & UpstreamsDraft, { report }: RuleContext): void {
  const injected = namesOf(draft)
  for (const [index, route] of entries(draft.routes)) {
    const path: Path = ['routes', index]
    if (route.upstream !== undefined) checkUpstreamName(route.upstream, [...path, 'upstream'], draft, report)
    reportUnknownApps(route.apps, [...path, 'apps'], draft, report)
    checkIdentity(route.identity, [...path, 'identity'], draft, report)
    checkGates(route, path, report)
    checkCors(route, path, report)
    checkVariants(route, path, draft, injected, report)
  }
}

/** Names that routes set; clients cannot send them. */
function namesOf({ routes }: RoutesDraft): string[] {
  return entries(routes).flatMap(([, { requestHeaders, inject }]) => [
    ...Object.keys(requestHeaders?.set ?? {}),
    ...Object.keys(inject ?? {})
  ])
}

/** @param bodyLimit The server's own limit. */
export function resolveRoute(written: WrittenRoute, bodyLimit: Bytes) {
  const { rateLimit, timeout } = written
  return {
    /** Canonical, without a trailing slash unless it is `/`. */
    path: written.path,
    /** Null: every method. */
    methods: written.methods ?? null,
    upstream: written.upstream,
    auth: written.auth,
    /** Null: every app. */
    apps: written.apps ?? null,
    stripPrefix: written.stripPrefix ?? null,
    /** Milliseconds to the head of the upstream's answer, over all tries; null for the upstream's
     *  own limit. */
    timeout: timeout === undefined ? null : milliseconds(timeout),
    bodyLimit: written.bodyLimit === undefined ? bodyLimit : bytes(written.bodyLimit),
    rateLimit: rateLimit === undefined ? null : { ...rateLimit, window: milliseconds(rateLimit.window) },
    /** Milliseconds; 0: as long as its token is accepted. */
    maxConnectionAge: milliseconds(written.maxConnectionAge),
    requestHeaders: written.requestHeaders,
    responseHeaders: written.responseHeaders,
    rewriteLocation: written.rewriteLocation,
    ...resolveGates(written),
    cors: resolveCors(written.cors),
    methodOverride: written.methodOverride,
    variants: resolveVariants(written.variants),
    identity: resolveIdentity(written.identity),
    /** Readings of a path that are refused unless the route allows them. */
    allow: written.allow,
    caseSensitive: written.caseSensitive,
    /** Decrypt `encryptedData` and `iv` of a JSON body on the way. */
    openData: written.openData,
    /** Encrypted bodies only, in both directions. */
    channel: written.channel,
    /** Claims that a principal must have, each with one of its listed values. */
    require: written.require,
    /** Header name to claim name. */
    inject: written.inject
  }
}
