/** The policy of a route as short sentences, without the defaults. */
import type { Format } from '../format.ts'
import type { Texts } from '../i18n/en.ts'
import type { RouteStatus } from '../model.ts'

export function policyOf(route: RouteStatus, text: Texts, format: Format): string[] {
  const { rules } = text.routes
  const { rate_limit: rate, concurrency, timeout_ms, max_connection_age_ms, strip_prefix, ip, cors_origins } = route
  const words: (string | false)[] = [
    route.is_in_maintenance && rules.maintenance,
    ...Object.entries(route.require).map(([claim, values]) => rules.require(claim, values.join(', '))),
    route.identity !== 'wxgate' && rules.identity(route.identity),
    rate !== null && rules.rate(format.count(rate.max), format.duration(rate.window_ms), rate.by),
    concurrency !== null && rules.concurrency(format.count(concurrency)),
    rules.body(format.bytes(route.body_limit)),
    timeout_ms !== null && rules.timeout(format.duration(timeout_ms)),
    max_connection_age_ms > 0 && rules.age(format.duration(max_connection_age_ms)),
    strip_prefix !== null && rules.strip(strip_prefix),
    ip.allow.length > 0 && rules.allow(ip.allow.join(', ')),
    ip.deny.length > 0 && rules.deny(ip.deny.join(', ')),
    cors_origins !== null && rules.cors(cors_origins.join(', ')),
    route.method_override && rules.override,
    route.open_data && rules.openData,
    route.channel && rules.channel,
    ...route.variants.map((variant) => rules.variant(variant.upstream, conditionOf(variant, format)))
  ]
  return words.filter((word) => word !== false)
}

function conditionOf({ env, headers, share }: RouteStatus['variants'][number], format: Format): string {
  const conditions = [
    ...(env ?? []),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(share === null ? [] : [format.percent(share)])
  ]
  return conditions.join(', ')
}
