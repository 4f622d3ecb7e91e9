/** `routes[].variants`: other upstreams for a part of the requests. */
import { createHeaderNames } from '../../http/headers/header-names.ts'
import { type Static, Type } from '../../schema.ts'
import type { Path } from '../problem.ts'
import type { Report } from '../report.ts'
import { type Draft, entries } from '../section.ts'
import { headerMap, mapping, percentage, someOf, text } from '../terms.ts'
import { fraction } from '../units.ts'
import { checkUpstreamName, type UpstreamsDraft } from './upstreams.ts'

const variant = mapping('Another upstream for the requests that meet all of its conditions.', {
  upstream: text('Name of the upstream.'),
  env: Type.Optional(
    someOf(
      'Version of the mini-program, by the Referer that WeChat sets. `trial`: version 0, which trial, development and reviewed versions have in common. `develop`: version 0 and the developer tools.',
      ['trial', 'develop']
    )
  ),
  header: headerMap('Headers that the request must have, each with this value.', 'Value of the header.'),
  share: Type.Optional(
    percentage('Share of the users. A user keeps its variant; a request without a token does not count.')
  )
})

export const variants = Type.Array(variant, {
  description: 'Other upstreams for a part of the requests. The first one that fits is used; all else stays the same.',
  default: [],
  maxItems: 32
})

type WrittenVariants = Static<typeof variants>

interface VariantRoute {
  readonly variants?: Draft<WrittenVariants> | undefined
  readonly auth?: string | undefined
}

/** @param path Place of the route.
 *  @param injected Names that routes set; clients cannot send them. */
export function checkVariants(
  { variants, auth }: VariantRoute,
  path: Path,
  draft: UpstreamsDraft,
  injected: readonly string[],
  report: Report
): void {
  const names = createHeaderNames(injected)
  let shared = 0
  for (const [index, { upstream, env, header, share }] of entries(variants)) {
    const place = [...path, 'variants', index]
    if (upstream !== undefined) checkUpstreamName(upstream, [...place, 'upstream'], draft, report)
    if (env === undefined && share === undefined && Object.keys(header ?? {}).length === 0) {
      report.error(place, 'needs a condition', 'write env: [trial], header: { X-Canary: "1" } or share: 5%')
    }
    for (const name of Object.keys(header ?? {})) {
      const { fate, why } = names.judge(name)
      if (fate !== 'pass') report.error([...place, 'header', name], `never fits: ${why}`, undefined, 'key')
    }
    if (share === undefined) continue
    if (auth === 'public') {
      report.error([...place, 'share'], 'cannot work here: a public route ignores the token', 'use auth: optional')
    }
    shared += percent(share)
    if (shared > 100) report.error([...place, 'share'], 'the shares of this route exceed 100%')
  }
}

/** Gives each share its part of the range from 0 to 100, in their order. */
export function resolveVariants(written: WrittenVariants) {
  let next = 0
  return written.map(({ upstream, env, header, share }) => {
    const from = next
    if (share !== undefined) next += percent(share)
    return {
      upstream,
      /** Null for a variant that does not depend on the version of the mini-program. */
      env: env ?? null,
      header,
      /** Null: every user. */
      share: share === undefined ? null : { from, to: next }
    }
  })
}

/** Whole numbers add up exactly. */
function percent(share: string): number {
  return Math.round(fraction(share) * 100)
}
