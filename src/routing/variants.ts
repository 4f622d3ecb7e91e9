/** Chooses the variant of a route for a request. */
import { createHash } from 'node:crypto'
import type { RouteConfig } from '../config/config.ts'
import { headerValue } from '../http/headers/header-value.ts'
import type { Principal } from '../identity/principal.ts'

type Variant = RouteConfig['variants'][number]

/** The index of the first variant that fits; -1 for the route's own upstream.
 *  @param kept The client's headers, name and value in turns. */
export type ChooseVariant = (kept: readonly string[], principal: Principal | null) => number

/** wx.request sends it, and a mini-program cannot change it; other clients can. */
const REFERER = /^https:\/\/servicewechat\.com\/[A-Za-z0-9]+\/([^/?#]+)\/page-frame\.html$/

/** @param placeOf A number from 0 to below 100 that stays the same for a user. */
export function createVariantChoice(
  variants: readonly Variant[],
  placeOf: (principal: Principal) => number
): ChooseVariant {
  return (kept, principal) =>
    variants.findIndex(({ env, header, share }) => {
      if (env !== null && !isOfEnv(env, kept)) return false
      for (const name in header) if (headerValue(kept, name.toLowerCase()) !== header[name]) return false
      if (share === null) return true
      if (principal === null) return false
      const place = placeOf(principal)
      return place >= share.from && place < share.to
    })
}

/** Version 0 is a trial version, a development version, or one in review: WeChat does not tell
 *  them apart. */
function isOfEnv(env: NonNullable<Variant['env']>, kept: readonly string[]): boolean {
  const version = REFERER.exec(headerValue(kept, 'referer') ?? '')?.[1]
  return version === '0' || (version === 'devtools' && env.includes('develop'))
}

/** The place of a user, the same on every route and instance. Remembered as long as the token. */
export function createUserPlaces(): (principal: Principal) => number {
  const places = new WeakMap<Principal, number>()
  return (principal) => {
    const known = places.get(principal)
    if (known !== undefined) return known
    const place = (createHash('sha256').update(principal.openId).digest().readUInt32BE(0) / 2 ** 32) * 100
    places.set(principal, place)
    return place
  }
}
