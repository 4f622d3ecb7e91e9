/** Tokens: only the exact issued bytes are accepted, and of signed claims only those that keep
 *  the rules. */
import fc from 'fast-check'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createSealer } from '../../src/crypto/sealer.ts'
import { ApiError } from '../../src/errors.ts'
import { type AccessTokens, createAccessTokens } from '../../src/identity/tokens/access-tokens.ts'
import { createJwtCodecs } from '../../src/identity/tokens/jwt-codecs.ts'
import { createRefreshTokens } from '../../src/identity/tokens/refresh-tokens.ts'
import { deriveSigningKeys } from '../../src/identity/tokens/signing-keys.ts'
import { createTestClock } from '../support/clock.ts'
import { APPID, SECRET } from '../support/gateway.ts'
import { ALGORITHMS, createMint, type Mint } from '../support/jwt.ts'
import { apply, type Edit, edits, type Fuzzer } from './fuzzer.ts'

export type TokenInput =
  | { readonly kind: 'bent'; readonly algorithm: number; readonly edits: readonly Edit[] }
  | { readonly kind: 'signed'; readonly algorithm: number; readonly header: string; readonly payload: string }
  | { readonly kind: 'claims'; readonly algorithm: number; readonly changes: string }
  | { readonly kind: 'refresh'; readonly edits: readonly Edit[] }

const SCRAPS = ['.', '..', '=', '+', '/', '-', '_', 'A', 'Q', ' ', '\t', ',', '%', 'Bearer ', 'eyJ', '\0', '\xff', 'é']
const CLAIMS = [
  'iss',
  'aud',
  'sub',
  'sid',
  'iat',
  'exp',
  'nbf',
  'epoch',
  'status',
  'oid',
  'openid',
  'unionid',
  'claims',
  '__proto__'
]
const WORDS = [
  'wxgate',
  APPID,
  'anonymous',
  'bound',
  'a\r\nX-OpenId: x',
  '张三',
  '',
  'x'.repeat(200),
  '__proto__',
  'toString'
]

const algorithm = fc.nat(ALGORITHMS.length - 1)
const json = fc.oneof(
  fc.constantFrom<unknown>(...WORDS, 0, -1, Number.MAX_VALUE, 1.5, 2 ** 53, 4_102_444_800, null, true, [], {}, [APPID]),
  fc.jsonValue({ maxDepth: 2 })
)
const changes = fc.dictionary(fc.oneof(fc.constantFrom(...CLAIMS), fc.string({ maxLength: 6 })), json, {
  maxKeys: 4,
  noNullPrototype: true
})
const segment = fc.oneof(
  fc.json({ maxDepth: 2 }),
  fc.string({ maxLength: 20 }),
  fc.constantFrom('{"alg":"none"}', '{}', '[]', 'null')
)

const inputs: fc.Arbitrary<TokenInput> = fc.oneof(
  fc.record({ kind: fc.constant('bent' as const), algorithm, edits: edits(SCRAPS, 4) }),
  fc.record({ kind: fc.constant('signed' as const), algorithm, header: segment, payload: segment }),
  fc.record({
    kind: fc.constant('claims' as const),
    algorithm,
    changes: changes.map((value) => JSON.stringify(value))
  }),
  fc.record({ kind: fc.constant('refresh' as const), edits: edits(SCRAPS, 3) })
)

interface Kit {
  readonly mint: Mint
  readonly tokens: AccessTokens
  readonly real: string
}

export async function createTokenFuzzer(wrap = (tokens: AccessTokens) => tokens): Promise<Fuzzer<TokenInput>> {
  const clock = createTestClock(Date.UTC(2026, 10, 23))
  const ring = createKeyRing([SECRET])
  const refreshTokens = createRefreshTokens(ring)
  const refreshToken = refreshTokens.sign('s_0123456789', 3)
  const kits: Kit[] = []
  for (const name of ALGORITHMS) {
    const tokens = createAccessTokens({
      codecs: await createJwtCodecs(deriveSigningKeys(ring, name)),
      issuer: 'wxgate',
      appIds: [APPID],
      accessTtl: 7_200_000,
      openId: 'sealed',
      sealer: createSealer(ring, 'openid', { deterministic: true }),
      clock
    })
    const mint = createMint(name, clock)
    kits.push({ mint, tokens: wrap(tokens), real: mint.token() })
  }
  const kitOf = (index: number) => kits[index % kits.length] ?? (kits[0] as Kit)

  function checkBent({ tokens, real }: Kit, list: readonly Edit[]): string | null {
    const credential = apply(`Bearer ${real}`, list)
    const isSame = credential.slice(7) === real && credential.slice(0, 7).toLowerCase() === 'bearer '
    return judge(tokens, credential, isSame ? 'accepted' : 'refused')
  }

  return {
    name: 'tokens',
    inputs,
    check(input) {
      if (input.kind === 'refresh') {
        const text = apply(refreshToken, input.edits)
        const claims = refreshTokens.verify(text)
        return (claims !== null) === (text === refreshToken)
          ? null
          : `refresh token: ${claims === null ? 'refused' : 'accepted'}`
      }
      const kit = kitOf(input.algorithm)
      if (input.kind === 'bent') return checkBent(kit, input.edits)
      if (input.kind === 'signed') {
        const { header } = kit.mint
        const token = kit.mint.tokenOf(input.payload, input.header)
        return judge(kit.tokens, `Bearer ${token}`, input.header === JSON.stringify(header) ? 'either' : 'refused')
      }
      const members = JSON.parse(input.changes) as Record<string, unknown>
      const token = kit.mint.token(members)
      if (token.length > 4_000) return judge(kit.tokens, `Bearer ${token}`, 'either')
      return judge(kit.tokens, `Bearer ${token}`, 'either')
    }
  }
}

function judge(tokens: AccessTokens, credential: string, expected: 'accepted' | 'refused' | 'either'): string | null {
  const first = tokens.verify(credential)
  const second = tokens.verify(credential)
  if (first instanceof ApiError) {
    if (first.code !== 'token_invalid' && first.code !== 'token_expired') return `answered ${first.code}`
    if (!(second instanceof ApiError) || second.code !== first.code) return 'another answer the second time'
    return expected === 'accepted' ? `the real token was refused: ${first.detail}` : null
  }
  if (second instanceof ApiError) return 'accepted once, refused the second time'
  if (expected === 'refused') return 'accepted without being issued'
  const { openId, unionId, userId, sessionId, appId, expiresAt, epoch } = first
  for (const text of [openId, userId, sessionId, appId, unionId ?? 'none'])
    if (!/^[A-Za-z0-9_-]{1,128}$/.test(text)) return `a principal with ${JSON.stringify(text)}`
  if (appId !== APPID || !Number.isSafeInteger(expiresAt) || !Number.isSafeInteger(epoch))
    return 'a principal with unexpected members'
  return null
}
