/** `tokens`: the tokens that a mini-program receives. */
import type { Static } from '../../schema.ts'
import type { DeepReadonly, Draft, RuleContext } from '../section.ts'
import { duration, lifetime, oneOf, section, text } from '../terms.ts'
import { milliseconds, parseDuration } from '../units.ts'

export const tokens = section('The tokens that a mini-program receives.', {
  issuer: text('Claim `iss`.', 'wxgate'),
  algorithm: oneOf(
    'Signature algorithm of access tokens. With `EdDSA` and `ES256` the public keys are at `/.well-known/jwks.json`.',
    ['HS256', 'EdDSA', 'ES256'],
    'HS256'
  ),
  accessTtl: lifetime('Life of an access token.', '2h'),
  refreshTtl: lifetime('Life of a refresh token; each refresh starts it again.', '30d'),
  refreshMaxTtl: lifetime('Longest life of a session, however often it is refreshed.', '180d'),
  repeatWindow: duration(
    'A login code or refresh token sent again gets the same answer for this long; `0s`: never.',
    '10s',
    { max: '10m' }
  ),
  openid: oneOf(
    '`sealed` encrypts the openid inside the token; `plain` lets the client read it.',
    ['sealed', 'plain'],
    'sealed'
  )
})

export type TokensConfig = DeepReadonly<ReturnType<typeof resolveTokens>>

const LONG_ACCESS_MS = 86_400_000

export function checkTokens(draft: Draft<{ tokens: Static<typeof tokens> }>, { report }: RuleContext): void {
  const life = (text: string | undefined) => (text === undefined ? null : parseDuration(text))
  const { accessTtl, refreshTtl, refreshMaxTtl } = draft.tokens ?? {}
  const [access, refresh, longest] = [life(accessTtl), life(refreshTtl), life(refreshMaxTtl)]
  if (access !== null && refresh !== null && access > refresh) {
    report.error(['tokens', 'accessTtl'], 'must not be longer than tokens.refreshTtl')
  }
  if (refresh !== null && longest !== null && refresh > longest) {
    report.error(['tokens', 'refreshTtl'], 'must not be longer than tokens.refreshMaxTtl')
  }
  if (access !== null && access > LONG_ACCESS_MS) {
    report.warn(
      ['tokens', 'accessTtl'],
      'is longer than a day: every instance keeps a session that ends early for as long'
    )
  }
}

export function resolveTokens({ issuer, algorithm, ...written }: Static<typeof tokens>) {
  return {
    issuer,
    algorithm,
    accessTtl: milliseconds(written.accessTtl),
    refreshTtl: milliseconds(written.refreshTtl),
    refreshMaxTtl: milliseconds(written.refreshMaxTtl),
    repeatWindow: milliseconds(written.repeatWindow),
    openId: written.openid
  }
}
