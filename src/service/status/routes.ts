/** The routes of GET /v1/status: the policy in force and the counts of each. */
import type { RouteConfig } from '../../config/config.ts'
import { type Static, Type } from '../../schema.ts'
import { Count, closed, Flag, Milliseconds, orNull, Text, Texts, word } from './terms.ts'

export const RequestCounts = closed(
  {
    requests: Count,
    errors: Type.Integer({ minimum: 0, description: 'Answers with a status from 500.' }),
    statuses: Type.Record(Type.String(), Count, { description: 'By class, such as `2xx`.' }),
    p50_ms: orNull(Milliseconds),
    p99_ms: orNull(Milliseconds)
  },
  'Since the start. Percentiles are interpolated within the buckets of wxgate_request_duration_seconds; null without a request.'
)

const Limit = closed({ max: Count, window_ms: Milliseconds, by: Text }, 'At most `max` requests in a window.')

const Variant = closed(
  {
    upstream: Text,
    env: orNull(Texts, 'Versions of the mini-program.'),
    headers: Type.Record(Type.String(), Text, { description: 'Headers that the request must have.' }),
    share: orNull(Type.Number({ minimum: 0, maximum: 1 }))
  },
  'Another upstream for requests that fit.'
)

export const Route = closed(
  {
    path: Text,
    methods: orNull(Texts, 'Null: every method.'),
    place: orNull(Text, 'Place in the file, such as `gateway.yaml:14`.'),
    upstream: Text,
    auth: word(['required', 'optional', 'public'], 'As in gateway.yaml.'),
    apps: orNull(Texts, 'Null: every app.'),
    require: Type.Record(Type.String(), Texts, { description: 'Claims with their accepted values.' }),
    identity: word(['wxgate', 'cloudrun', 'wafer'], 'Names of the identity headers.'),
    rate_limit: orNull(Limit),
    concurrency: orNull(Count),
    body_limit: Type.Integer({ minimum: 0, description: 'Bytes.' }),
    timeout_ms: orNull(Milliseconds, "Null: the upstream's."),
    max_connection_age_ms: Type.Number({ minimum: 0, description: 'Milliseconds; 0: no limit.' }),
    strip_prefix: orNull(Text),
    ip: closed({ allow: Texts, deny: Texts }, 'Networks; an empty `allow` is every network.'),
    cors_origins: orNull(Texts),
    is_in_maintenance: Flag,
    method_override: Flag,
    open_data: Flag,
    channel: Flag,
    variants: Type.Array(Variant),
    counts: RequestCounts
  },
  'Routes with the same path share their counts.'
)

export type RouteStatus = Static<typeof Route>
export type RequestCountsStatus = Static<typeof RequestCounts>

/** @param place Null for a configuration without a file. */
export function describeRoute(route: RouteConfig, place: string | null, counts: RequestCountsStatus): RouteStatus {
  const { rateLimit, ip, cors, maintenance, variants } = route
  return {
    path: route.path,
    methods: copy(route.methods),
    place,
    upstream: route.upstream,
    auth: route.auth,
    apps: copy(route.apps),
    require: Object.fromEntries(Object.entries(route.require).map(([claim, values]) => [claim, [...values]])),
    identity: route.identity.headers,
    rate_limit: rateLimit && { max: rateLimit.max, window_ms: rateLimit.window, by: rateLimit.by },
    concurrency: route.concurrency,
    body_limit: route.bodyLimit,
    timeout_ms: route.timeout,
    max_connection_age_ms: route.maxConnectionAge,
    strip_prefix: route.stripPrefix,
    ip: { allow: [...(ip?.allow ?? [])], deny: [...(ip?.deny ?? [])] },
    cors_origins: copy(cors?.origins),
    is_in_maintenance: maintenance !== null,
    method_override: route.methodOverride,
    open_data: route.openData,
    channel: route.channel,
    variants: variants.map(({ upstream, env, header, share }) => ({
      upstream,
      env: copy(env),
      headers: { ...header },
      share: share && (share.to - share.from) / 100
    })),
    counts
  }
}

function copy(list: readonly string[] | null | undefined): string[] | null {
  return list ? [...list] : null
}
