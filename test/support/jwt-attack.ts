import { randomUUID } from 'node:crypto'
import { type Test, t as tap, test } from 'tap'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createSealer } from '../../src/crypto/sealer.ts'
import { createAccessTokens } from '../../src/identity/tokens/access-tokens.ts'
import type { JwtCodec } from '../../src/identity/tokens/jwt-codec.ts'
import { createJwtCodecs } from '../../src/identity/tokens/jwt-codecs.ts'
import { deriveSigningKeys, type SigningAlgorithm } from '../../src/identity/tokens/signing-keys.ts'
import { createTestClock } from './clock.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID, SECRET, type TestGateway } from './gateway.ts'
import { ALGORITHMS, createMint, joseAccepts, type Mint } from './jwt.ts'
import { startUpstream } from './upstream.ts'

export const clock = createTestClock(Math.floor(Date.now() / 1000) * 1000)
export const upstream = await startUpstream(tap)

export interface Kit extends Mint {
  readonly gateway: TestGateway
  /** From a login. */
  readonly good: string
  readonly refreshToken: string
}

export const apps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
export const kits: Kit[] = []
for (const algorithm of ALGORITHMS) {
  const routes = [
    { path: '/api', upstream: 'app' },
    { path: '/maybe', upstream: 'app', auth: 'optional' },
    { path: '/other', upstream: 'app', apps: [OTHER_APPID] }
  ]
  const gateway = await buildTestGateway(tap, upstream.url, { clock, config: { apps, routes, tokens: { algorithm } } })
  const login = await gateway.login('alice', APPID)
  kits.push({
    ...createMint(algorithm, clock),
    gateway,
    good: login.access_token,
    refreshToken: login.refresh_token
  })
}

interface Verdict {
  readonly status: number
  readonly code?: string
}

export async function send(kit: Kit, token: string, path = '/api'): Promise<Verdict> {
  const response = await kit.gateway.call(path, { token })
  const body = (await response.json()) as { code?: string; action?: string }
  return { status: response.status, ...(body.code === undefined ? {} : { code: body.code }) }
}

interface Case {
  /** The reason why the gateway refuses a token that jose accepts. */
  readonly stricter?: string
  readonly code?: string
}

/** Every token is refused with 401 and, by default, `token_invalid`, and never reaches the
 *  upstream. */
export async function refused(
  t: Test,
  kit: Kit,
  tokens: Record<string, string>,
  { stricter, code = 'token_invalid' }: Case = {}
) {
  // A path of its own: other tests send requests to the same upstream.
  const path = `/api/${randomUUID()}`
  for (const [name, token] of Object.entries(tokens)) {
    t.same(await send(kit, token, path), { status: 401, code }, `${kit.algorithm}: ${name}`)
    const jose = (await joseAccepts(kit, token, clock)) ? 'accepted' : 'refused'
    t.equal(jose, stricter === undefined ? 'refused' : 'accepted', `jose: ${name} ${stricter ?? ''}`)
  }
  t.notOk(
    upstream.seen.some(({ url }) => url?.startsWith(path)),
    'nothing went upstream'
  )
}

/** The same for tokens on which the verdict of jose does not matter. */
export async function refusedWhateverJoseSays(t: Test, kit: Kit, tokens: Record<string, string>) {
  for (const [name, token] of Object.entries(tokens))
    t.same(await send(kit, token), { status: 401, code: 'token_invalid' }, `${kit.algorithm}: ${name}`)
}

export function attack(title: string, run: (t: Test, kit: Kit) => Promise<void>): void {
  test(title, async (t) => {
    for (const kit of kits) await run(t, kit)
  })
}

export const signed = (kit: Kit, text: string) => `${text}.${kit.signature(text)}`
export const now = () => Math.floor(clock.now() / 1000)

/** The verifier of access tokens without a gateway. */
export async function directly(algorithm: SigningAlgorithm, wrap = (codec: JwtCodec) => codec, time = clock) {
  const ring = createKeyRing([SECRET])
  const codecs = await createJwtCodecs(deriveSigningKeys(ring, algorithm))
  return createAccessTokens({
    codecs: codecs.map(wrap),
    issuer: 'wxgate',
    appIds: [APPID],
    accessTtl: 7_200_000,
    openId: 'sealed',
    sealer: createSealer(ring, 'openid', { deterministic: true }),
    clock: time
  })
}
