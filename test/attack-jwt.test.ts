/** Invented, altered and misplaced access tokens: rows J01 to J28 of the attack corpus, for
 *  every algorithm, over the wire. jose judges each token with the same key and rules, and may
 *  never be stricter than the gateway. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { createLocalJWKSet, exportJWK, type JSONWebKeySet, jwtVerify } from 'jose'
import { type Test, t as tap, test } from 'tap'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { ApiError } from '../src/errors.ts'
import { createAccessTokens } from '../src/identity/tokens/access-tokens.ts'
import type { JwtCodec } from '../src/identity/tokens/jwt-codec.ts'
import { createJwtCodecs } from '../src/identity/tokens/jwt-codecs.ts'
import { deriveSigningKeys, type SigningAlgorithm } from '../src/identity/tokens/signing-keys.ts'
import { createTestClock } from './support/clock.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID, SECRET, type TestGateway } from './support/gateway.ts'
import { ALGORITHMS, createMint, encode, hmacToken, joseAccepts, type Members, type Mint } from './support/jwt.ts'
import { startServer } from './support/listen.ts'
import { startUpstream } from './support/upstream.ts'

const clock = createTestClock(Math.floor(Date.now() / 1000) * 1000)
const upstream = await startUpstream(tap)

interface Kit extends Mint {
  readonly gateway: TestGateway
  /** From a login. */
  readonly good: string
  readonly refreshToken: string
}

const apps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
const kits: Kit[] = []
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

async function send(kit: Kit, token: string, path = '/api'): Promise<Verdict> {
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
async function refused(
  t: Test,
  kit: Kit,
  tokens: Record<string, string>,
  { stricter, code = 'token_invalid' }: Case = {}
) {
  const reached = upstream.seen.length
  for (const [name, token] of Object.entries(tokens)) {
    t.same(await send(kit, token), { status: 401, code }, `${kit.algorithm}: ${name}`)
    const jose = (await joseAccepts(kit, token, clock)) ? 'accepted' : 'refused'
    t.equal(jose, stricter === undefined ? 'refused' : 'accepted', `jose: ${name} ${stricter ?? ''}`)
  }
  t.equal(upstream.seen.length, reached, 'nothing went upstream')
}

/** The same for tokens on which the verdict of jose does not matter. */
async function refusedWhateverJoseSays(t: Test, kit: Kit, tokens: Record<string, string>) {
  for (const [name, token] of Object.entries(tokens))
    t.same(await send(kit, token), { status: 401, code: 'token_invalid' }, `${kit.algorithm}: ${name}`)
}

function attack(title: string, run: (t: Test, kit: Kit) => Promise<void>): void {
  test(title, async (t) => {
    for (const kit of kits) await run(t, kit)
  })
}

const signed = (kit: Kit, text: string) => `${text}.${kit.signature(text)}`
const now = () => Math.floor(clock.now() / 1000)

attack('a token of a login and one with the same claims and key are accepted, also by jose', async (t, kit) => {
  for (const token of [kit.good, kit.token()]) {
    t.equal((await send(kit, token)).status, 200, kit.algorithm)
    t.ok(await joseAccepts(kit, token, clock))
  }
})

attack('J01 alg "none" in any spelling, no alg, or an alg that is not text, is refused', async (t, kit) => {
  const algs = [
    'none',
    'None',
    'nOnE',
    'NONE',
    '',
    ' ',
    kit.algorithm.toLowerCase(),
    [kit.algorithm],
    null,
    1,
    {},
    true
  ]
  const tokens: Record<string, string> = {}
  for (const alg of [...algs.filter((entry) => entry !== kit.algorithm), undefined]) {
    const name = JSON.stringify(alg) ?? 'left out'
    tokens[name] = kit.token({}, { alg })
    const [header, payload] = tokens[name].split('.')
    tokens[`${name}, unsigned`] = `${header}.${payload}.`
    tokens[`${name}, signature AA`] = `${header}.${payload}.AA`
  }
  await refused(t, kit, tokens)
})

attack('J02 another algorithm of the family, with the same key, is refused', async (t, kit) => {
  const tokens: Record<string, string> = {}
  for (const [alg, hash] of [
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
    ['HS256', 'sha512'],
    ['HS384', 'sha256']
  ] as const) {
    const key = keyBytes(kit)
    tokens[`${alg} over ${hash}`] = hmacToken({ ...kit.header, alg }, kit.payload(), key, hash)
  }
  for (const alg of ['RS256', 'PS256', 'ES256', 'ES256K', 'ES384', 'ES512', 'EdDSA', 'Ed25519', 'HS256'])
    if (alg !== kit.algorithm) tokens[alg] = kit.token({}, { alg })
  await refused(t, kit, tokens)
})

attack('J03 the public key, or the secret as configured, is not an HMAC key in any of its forms', async (t, kit) => {
  const tokens: Record<string, string> = {}
  const add = (name: string, key: Buffer | string) => {
    tokens[name] = hmacToken({ ...kit.header, alg: 'HS256' }, kit.payload(), key)
  }
  add('the secret itself', SECRET)
  add('the secret as base64', Buffer.from(SECRET).toString('base64'))
  add('no key', '')
  add('32 zero bytes', Buffer.alloc(32))
  add('the kid', kit.key.kid)
  if (kit.algorithm !== 'HS256') {
    const pem = kit.key.publicKey.export({ format: 'pem', type: 'spki' }) as string
    const der = kit.key.publicKey.export({ format: 'der', type: 'spki' })
    add('PEM', pem)
    add('PEM, trimmed', pem.trim())
    add('PEM after a newline', `\n${pem}`)
    add('PEM after a space', ` ${pem}`)
    add('PEM after a byte order mark', `\uFEFF${pem}`)
    add('PEM after text', `x${pem}`)
    add('PEM in base64', Buffer.from(pem).toString('base64'))
    add('PEM without its lines', pem.replace(/-----[^-]+-----|\n/g, ''))
    add('DER', der)
    add('JWK', JSON.stringify(await exportJWK(kit.key.publicKey)))
    add('published JWK', JSON.stringify(kit.key.publicJwk))
  }
  await refused(t, kit, tokens)
})

attack('J04 a token with "crit" is refused', async (t, kit) => {
  await refused(t, kit, {
    'unknown extension': kit.token({}, { crit: ['x'], x: 1 }),
    empty: kit.token({}, { crit: [] }),
    b64: kit.token({}, { crit: ['b64'], b64: false }),
    text: kit.token({}, { crit: 'b64' })
  })
  await refused(
    t,
    kit,
    { 'b64 true': kit.token({}, { crit: ['b64'], b64: true }) },
    { stricter: 'not as the gateway writes it' }
  )
})

attack('J05 keys that a token carries or points to are neither used nor fetched', async (t, kit) => {
  let fetched = 0
  const server = await startServer(t, (_req, res) => {
    fetched++
    res.end('{"keys":[]}')
  })
  const url = `${server}/keys`
  const own = generateKeyPairSync('ed25519')
  const jwk = await exportJWK(own.publicKey)
  const secret = Buffer.alloc(32, 7)
  const oct = { kty: 'oct', k: secret.toString('base64url') }
  await refused(t, kit, {
    'embedded symmetric key': hmacToken({ ...kit.header, alg: 'HS256', jwk: oct }, kit.payload(), secret),
    'embedded key, no kid': hmacToken({ alg: 'HS256', typ: 'at+jwt', jwk: oct }, kit.payload(), secret),
    jku: hmacToken({ ...kit.header, alg: 'HS256', jku: url }, kit.payload(), secret),
    x5u: hmacToken({ ...kit.header, alg: 'HS256', x5u: url }, kit.payload(), secret),
    x5c: hmacToken({ ...kit.header, alg: 'HS256', x5c: ['MIIB'] }, kit.payload(), secret)
  })
  const strangers = { jwk: kit.token({}, { jwk }), jku: kit.token({}, { jku: url }), x5u: kit.token({}, { x5u: url }) }
  await refused(t, kit, strangers, { stricter: 'only the header that the gateway writes' })
  t.equal(fetched, 0)
})

attack('J06 a kid is looked up in memory unchanged, and nowhere else', async (t, kit) => {
  const kids = ['../../../../dev/null', "x' OR 1=1", 'k'.repeat(2_000), '', 'AAAAAAAA', `${kit.key.kid} `, '__proto__']
  const others = [undefined, null, 1, [kit.key.kid], 'constructor', 'toString', kit.key.kid.toUpperCase()]
  const tokens: Record<string, string> = {}
  for (const kid of [...kids, ...others]) tokens[String(JSON.stringify(kid)).slice(0, 40)] = kit.token({}, { kid })
  const bad = Object.fromEntries(Object.entries(tokens).filter(([name]) => /null|1$|\[/.test(name)))
  await refusedWhateverJoseSays(t, kit, bad)
  for (const name of Object.keys(bad)) delete tokens[name]
  await refused(t, kit, tokens, { stricter: 'jose has one key and ignores kid' })
  await refused(t, kit, { '10 KiB': kit.token({}, { kid: 'k'.repeat(10_240) }) }, { stricter: 'too long' })
})

test('J06 twenty thousand unknown kids cost no fetch, no store read and no memory', async (t) => {
  const tokens = await directly('HS256')
  const before = process.memoryUsage().heapUsed
  for (let index = 0; index < 20_000; index++) {
    const header = encode({ alg: 'HS256', typ: 'at+jwt', kid: `k${index}` })
    if (!(tokens.verify(`Bearer ${header}.e30.AA`) instanceof ApiError)) t.fail('accepted')
  }
  t.ok(process.memoryUsage().heapUsed - before < 30_000_000)
})

attack('J07 a token without one of its claims is refused', async (t, kit) => {
  const tokens: Record<string, string> = {}
  for (const claim of ['exp', 'iat', 'iss', 'aud', 'sub', 'sid', 'epoch', 'status'])
    tokens[claim] = kit.token({ [claim]: undefined })
  await refused(t, kit, tokens)
  await refused(t, kit, { oid: kit.token({ oid: undefined }) }, { stricter: 'a user needs an openid' })
})

attack('J08 times that are not numbers are refused', async (t, kit) => {
  const tokens: Record<string, string> = {}
  for (const value of [String(now() + 60), null, true, [now() + 60], {}, ''])
    for (const claim of ['exp', 'iat']) tokens[`${claim} ${JSON.stringify(value)}`] = kit.token({ [claim]: value })
  await refused(t, kit, tokens)
})

attack('J09 a token that would live for ever, or longer than accessTtl, is refused', async (t, kit) => {
  const raw = (exp: string) => kit.tokenOf(JSON.stringify(kit.payload()).replace(/"exp":\d+/, `"exp":${exp}`))
  const strict = { stricter: 'jose has no longest life' }
  await refused(t, kit, { infinity: raw('1e400') }, strict)
  await refused(t, kit, { 'minus infinity': raw('-1e400') })
  await refused(t, kit, { 'beyond integers': raw('9007199254740993'), '1e20': raw('1e20') }, strict)
  const long = { 'year 9999': kit.token({ exp: 253402300799 }), 'a day': kit.token({ exp: now() + 86_400 }) }
  await refused(t, kit, long, { ...strict, code: 'token_expired' })
  await refused(t, kit, { 'accessTtl and 6 s': kit.token({ exp: now() + 7206 }) }, { ...strict, code: 'token_expired' })
  const old = { 'too old': kit.token({ iat: now() - 7300, exp: now() + 60 }) }
  await refused(t, kit, old, { code: 'token_expired' })
})

attack('J10 exp now, in the past, negative or with a fraction is refused', async (t, kit) => {
  const iat = now() - 100
  const code = 'token_expired'
  await refused(t, kit, { now: kit.token({ iat, exp: now() }) }, { code, stricter: 'no leeway at the end of a life' })
  await refused(t, kit, { 'a minute ago': kit.token({ iat, exp: now() - 60 }) }, { code })
  await refused(t, kit, { negative: kit.token({ exp: -1 }), zero: kit.token({ exp: 0 }) })
  await refused(
    t,
    kit,
    { fraction: kit.token({ exp: now() + 60.5 }) },
    { stricter: 'the gateway writes whole seconds' }
  )
  await refused(
    t,
    kit,
    { 'exp before iat': kit.token({ iat: now() + 4, exp: now() + 3 }) },
    { stricter: 'no life at all' }
  )
})

attack('J11 a token whose nbf is in the future, or not a number, is refused', async (t, kit) => {
  await refused(t, kit, { 'in 1000 s': kit.token({ nbf: now() + 1000 }), text: kit.token({ nbf: 'now' }) })
  t.equal((await send(kit, kit.token({ nbf: now() - 1 }))).status, 200)
})

attack('J12 a token issued in the future is refused beyond the skew of clocks', async (t, kit) => {
  const ahead = (by: number) => kit.token({ iat: now() + by, exp: now() + by + 60 })
  await refused(t, kit, { '1000 s': ahead(1000), '6 s': ahead(6) })
  t.equal((await send(kit, ahead(5))).status, 200)
})

attack('J13 the last of two equal claims counts, as for jose', async (t, kit) => {
  const twice = (name: string, first: unknown, last: unknown) => {
    const rest = JSON.stringify(kit.payload({ [name]: undefined })).slice(1)
    return kit.tokenOf(`{"${name}":${JSON.stringify(first)},"${name}":${JSON.stringify(last)},${rest}`)
  }
  const { exp, aud } = kit.payload()
  await refused(t, kit, { 'exp, past last': twice('exp', exp, 1) })
  await refused(t, kit, { 'aud, strange last': twice('aud', aud, 'wx0000000000000000') })
  for (const token of [twice('exp', 1, exp), twice('aud', 'wx0000000000000000', aud)]) {
    t.equal((await send(kit, token)).status, 200)
    t.ok(await joseAccepts(kit, token, clock))
  }
  const header = JSON.stringify(kit.header)
  const double = { 'alg twice': kit.tokenOf(JSON.stringify(kit.payload()), `{"alg":"none",${header.slice(1)}`) }
  await refused(t, kit, double, { stricter: 'only the header that the gateway writes' })
})

attack('J14 a payload that is not an object, or not JSON, is refused', async (t, kit) => {
  const tokens: Record<string, string> = {}
  const good = JSON.stringify(kit.payload())
  for (const text of ['[]', `[${good}]`, '"text"', JSON.stringify(good), 'null', '1', 'true', '{', '', `${good}x`])
    tokens[text.slice(0, 20)] = kit.tokenOf(text)
  const bytes = `${encode(JSON.stringify(kit.header))}.${encode(Buffer.from([0x7b, 0xff, 0xfe, 0x7d]))}`
  tokens['not UTF-8'] = signed(kit, bytes)
  await refused(t, kit, tokens)
  await refused(t, kit, { 'byte order mark': kit.tokenOf(`\uFEFF${good}`) }, { stricter: 'jose drops it' })
})

attack('J15 __proto__ in a token changes only itself', async (t, kit) => {
  const body = JSON.stringify(kit.payload()).slice(1)
  const token = kit.tokenOf(
    `{"__proto__":{"admin":true,"claims":{"role":"admin"},"epoch":9},"constructor":{"prototype":{"admin":true}},${body}`
  )
  t.equal((await send(kit, token)).status, 200)
  t.equal(({} as Members).admin, undefined)
  const claims = kit.tokenOf(
    `{"claims":{"__proto__":{"role":"admin"},"constructor":"x","role":{"a":1},"list":["a",1]},${body}`
  )
  const principal = kit.gateway.gateway.parts.accessTokens.verify(`Bearer ${claims}`)
  t.notOk(principal instanceof ApiError)
  if (principal instanceof ApiError) return
  t.equal(Object.getPrototypeOf(principal.claims), null)
  t.same(Object.keys(principal.claims), ['constructor'])
  t.equal(principal.claims.role, undefined)
  await refused(t, kit, { 'only in the prototype': kit.tokenOf(`{"__proto__":${JSON.stringify(kit.payload())}}`) })
})

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

attack('J16 a token has one spelling: unused bits of the last character must be zero', async (t, kit) => {
  for (const token of [kit.good, kit.token()]) {
    const bytes = Buffer.from(token.split('.')[2] ?? '', 'base64url')
    const twins = [...ALPHABET]
      .map((last) => token.slice(0, -1) + last)
      .filter((twin) => twin !== token && Buffer.from(twin.split('.')[2] ?? '', 'base64url').equals(bytes))
    t.ok(twins.length >= 3, 'there are such spellings')
    await refusedWhateverJoseSays(t, kit, Object.fromEntries(twins.map((twin) => [twin.slice(-2), twin])))
    // In the signed segments another spelling is another text.
    const [header = '', payload = '', signature = ''] = token.split('.')
    const bent = (segment: string) => segment.slice(0, -1) + ALPHABET[ALPHABET.indexOf(segment.at(-1) ?? '') ^ 1]
    await refused(t, kit, {
      'payload bent': `${header}.${bent(payload)}.${signature}`,
      'header bent': `${bent(header)}.${payload}.${signature}`,
      'signature bent': `${header}.${payload}.${signature.slice(0, -3)}${signature.at(-3) === 'A' ? 'B' : 'A'}${signature.slice(-2)}`
    })
  }
})

attack('J17 standard base64, padding and anything after the signature are refused', async (t, kit) => {
  let token = kit.good
  // A signature in which the two alphabets differ.
  for (let index = 0; !/[-_]/.test(token.split('.')[2] ?? ''); index++) token = kit.token({ epoch: index })
  const [header = '', payload = '', signature = ''] = token.split('.')
  const standard = signature.replaceAll('-', '+').replaceAll('_', '/')
  await refusedWhateverJoseSays(t, kit, {
    'standard alphabet': `${header}.${payload}.${standard}`,
    padded: `${header}.${payload}.${signature}=`,
    'padded header': `${header}=.${payload}.${signature}`,
    junk: `${token}AAAA`,
    'junk character': `${token}!`,
    'inner space': `${header}.${payload}. ${signature}`,
    shorter: token.slice(0, -4)
  })
})

attack('J18 too few or too many segments are refused', async (t, kit) => {
  const [header, payload, signature] = kit.good.split('.')
  await refused(t, kit, {
    'two segments': `${header}.${payload}`,
    'four segments': `${kit.good}.${signature}`,
    'five segments': `${header}.${payload}.${signature}.a.b`,
    'trailing dot': `${kit.good}.`,
    'leading dot': `.${kit.good}`,
    'empty header': `.${payload}.${signature}`,
    'empty payload': `${header}..${signature}`,
    'empty signature': `${header}.${payload}.`,
    dots: '..',
    word: 'token'
  })
})

attack('J19 a subject, session or openid that is not a valid id is refused', async (t, kit) => {
  const bad: unknown[] = ['a\r\nX-OpenId: evil', '中文', 'a b', '', 'x'.repeat(129), 'a\u0000', '../x', 'a,b']
  const texts = Object.fromEntries(
    bad.flatMap((value) => [
      [`sub ${value}`, kit.token({ sub: value })],
      [`sid ${value}`, kit.token({ sid: value })]
    ])
  )
  await refused(t, kit, texts, { stricter: 'jose does not check ids' })
  await refusedWhateverJoseSays(t, kit, { object: kit.token({ sub: { a: 1 } }), number: kit.token({ sub: 1 }) })
  const sealer = createSealer(createKeyRing([SECRET]), 'openid', { deterministic: true })
  const context = `${APPID}:session-0123456789abcd`
  const sealed = ['oX\r\nX-AppId: evil\n', 'short\n', '\n', 'o中文中文中文\n', 'oPlainOpenId00\nuni on id']
  const tokens = Object.fromEntries(sealed.map((text) => [text, kit.token({ oid: sealer.seal(text, context) })]))
  await refused(t, kit, tokens, { stricter: 'jose cannot decrypt it' })
  const plain = ['oX\r\nX-AppId: evil', 1, null, ['oPlainOpenId00'], '']
  const open = Object.fromEntries(
    plain.map((openid) => [JSON.stringify(openid), kit.token({ oid: undefined, openid })])
  )
  await refused(t, kit, open, { stricter: 'jose does not check openids' })
})

attack(
  'J20 a token of another issuer, or for another audience, is refused; for another route it is 403',
  async (t, kit) => {
    await refused(t, kit, {
      'other iss': kit.token({ iss: 'wxgate2' }),
      'iss in other letters': kit.token({ iss: 'WXGATE' }),
      'unknown aud': kit.token({ aud: 'wx0000000000000000' }),
      'aud empty': kit.token({ aud: '' })
    })
    await refused(t, kit, { 'aud list': kit.token({ aud: [APPID] }) }, { stricter: 'one token, one mini-program' })
    await refused(t, kit, { 'iss list': kit.token({ iss: ['wxgate'] }) })
    const gone = 'wx0000000000000000'
    const sealer = createSealer(createKeyRing([SECRET]), 'openid', { deterministic: true })
    const oid = sealer.seal('oMintedOpenId-000000000000001\n', `${gone}:session-0123456789abcd`)
    await refused(t, kit, { 'an app that is no longer configured': kit.token({ aud: gone, oid }) })
    // Its openid is sealed for the mini-program it was issued for.
    await refused(t, kit, { 'another configured app': kit.token({ aud: OTHER_APPID }) })
    t.same(await send(kit, kit.good, '/other'), { status: 403, code: 'app_not_allowed' })
    const bob = await kit.gateway.login('bob', OTHER_APPID)
    t.equal((await send(kit, bob.access_token, '/other')).status, 200)
  }
)

attack('J21 no other signed text of the gateway passes as an access token', async (t, kit) => {
  const types = ['rt+jwt', 'assert+jwt', 'JWT', 'at+JWT', 'AT+JWT', 'application/at+jwt', '', undefined, null, 1]
  const tokens = Object.fromEntries(types.map((typ) => [`typ ${JSON.stringify(typ)}`, kit.token({}, { typ })]))
  await refusedWhateverJoseSays(t, kit, tokens)
  await refused(t, kit, { 'refresh token': kit.refreshToken })
  const response = await kit.gateway.call('/auth/refresh', {
    method: 'POST',
    body: JSON.stringify({ refresh_token: kit.good })
  })
  t.match(await response.json(), { code: 'refresh_invalid' })
  const payload = JSON.parse(Buffer.from(kit.good.split('.')[1] ?? '', 'base64url').toString()) as Members
  const spliced = { 'openid of another session': kit.token({ oid: payload.oid }) }
  await refused(t, kit, spliced, { stricter: 'a sealed openid belongs to its session' })
  const whole = { 'all but the session': kit.token({ ...payload, sid: 'session-0123456789abcd' }) }
  await refused(t, kit, whole, { stricter: 'a sealed openid belongs to its session' })
})

attack('J22 a token of more than 4 KiB is refused', async (t, kit) => {
  for (const size of [4_096, 9_000, 11_000]) {
    const token = kit.token({ pad: 'x'.repeat(size) })
    await refused(t, kit, { [`${size} bytes`]: token }, { stricter: 'longer than any issued token' })
  }
  const head = (
    await kit.gateway.raw(
      `GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${'x'.repeat(20_000)}\r\n\r\n`
    )
  ).split('\r\n')[0]
  t.match(head, / 431 /)
})

test('J22 the length is checked before any cryptography', async (t) => {
  let verified = 0
  const count = () => {
    verified++
    return null
  }
  const tokens = await directly('HS256', (codec) => ({ ...codec, verify: count }))
  const { token } = createMint('HS256', clock)
  tokens.verify(`Bearer ${token({ pad: 'x'.repeat(4_096) })}`)
  t.equal(verified, 0)
  tokens.verify(`Bearer ${token()}`)
  t.equal(verified, 1)
})

attack('J23 the credential is Bearer, one space and the token; the scheme is in any letters', async (t, kit) => {
  const { gateway, good } = kit
  const ask = async (lines: string) => {
    const text = await gateway.raw(`GET /api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines}\r\n\r\n`)
    return [Number(text.slice(9, 12)), /"code":"(\w+)"/.exec(text)?.[1] ?? null] as const
  }
  // Optional white space around a field value is not part of it (RFC 9110, section 5.5).
  for (const value of [`bearer ${good}`, `BEARER ${good}`, `bEaReR ${good}`, `Bearer ${good} `, `Bearer ${good}\t`])
    t.same(await ask(`Authorization: ${value}`), [200, null], JSON.stringify(value.replace(good, 'T')))
  const bad = [
    `Bearer  ${good}`,
    `Bearer\t${good}`,
    `Bearer,${good}`,
    `Bearer ${good}, Bearer ${good}`,
    `Bearer ${good},${good}`,
    `Bearer ${good} ${good}`,
    `Bearer Bearer ${good}`,
    `Bearer "${good}"`,
    `Bearer=${good}`,
    `Bearer${good}`,
    `Basic ${good}`,
    `Basic ${Buffer.from(`x:${good}`).toString('base64')}`,
    `Token ${good}`,
    `DPoP ${good}`,
    good,
    'Bearer',
    'Bearer ',
    '',
    'null',
    'Bearer null',
    'Bearer undefined',
    'Bearer [object Object]',
    `Bearer ${good}\u00e9`
  ]
  for (const value of bad) {
    const [status, code] = await ask(`Authorization: ${value}`)
    t.same([status, code], [401, 'token_invalid'], JSON.stringify(value.replaceAll(good, 'T')))
  }
  t.same(await ask(`Authorization: Bearer ${good}\r\nAuthorization: Bearer ${good}`), [400, 'bad_header'])
  t.same(await ask('X-Nothing: 1'), [401, 'token_missing'])
})

attack('J24 a token outside Authorization is not read, and not logged', async (t, kit) => {
  const { gateway, good } = kit
  const places: RequestInit[] = [
    { headers: { cookie: `access_token=${good}; token=${good}` } },
    { headers: { 'sec-websocket-protocol': `bearer, ${good}` } },
    { headers: { 'x-access-token': good, 'x-authorization': `Bearer ${good}`, 'x-wx-session': good } },
    { headers: { 'proxy-authorization': `Bearer ${good}` } },
    { method: 'POST', body: JSON.stringify({ access_token: good }) }
  ]
  for (const init of places) t.equal((await gateway.call('/api', init)).status, 401)
  const query = await gateway.call(`/api?access_token=${good}&token=${good}`)
  t.match(await query.json(), { code: 'token_missing' })
  t.notMatch(gateway.lines.join(''), good.split('.')[2])
})

attack('J25 only the signature of a verified token is remembered', async (t, kit) => {
  const { gateway } = kit
  const carol = await gateway.login('carol', APPID)
  const same = createMint(kit.algorithm, clock, 'another-secret-of-more-than-32-characters').token()
  t.equal((await send(kit, carol.access_token)).status, 200, 'remembered')
  t.same(await send(kit, carol.access_token, '/other'), { status: 403, code: 'app_not_allowed' }, 'still of one app')
  t.equal((await send(kit, same)).status, 401, 'another key')
  // Two credentials that share all but the end.
  const pad = 'x'.repeat(2_000)
  const [one, two] = [kit.token({ sub: 'u_one', pad }), kit.token({ sub: 'u_two', pad })]
  const idOf = (token: string) => {
    const principal = gateway.gateway.parts.accessTokens.verify(`Bearer ${token}`)
    return principal instanceof ApiError ? principal.code : principal.userId
  }
  t.same([one, two, one, two].map(idOf), ['u_one', 'u_two', 'u_one', 'u_two'])
  t.equal((await gateway.call('/auth/logout', { method: 'POST', token: carol.access_token })).status, 204)
  t.same(await send(kit, carol.access_token), { status: 401, code: 'session_revoked' }, 'ended')
})

test('J26 a remembered token ends at its exp; a clock that leaps back and forth leaves nothing wrong behind', async (t) => {
  for (const algorithm of ALGORITHMS) {
    const time = createTestClock(clock.now())
    const tokens = await directly(algorithm, undefined, time)
    const mint = createMint(algorithm, time)
    const ask = (token: string) => {
      const result = tokens.verify(`Bearer ${token}`)
      return result instanceof ApiError ? result.code : 'ok'
    }
    const token = mint.token({ exp: Math.floor(time.now() / 1000) + 60 })
    t.equal(ask(token), 'ok')
    time.advance(59_999)
    t.equal(ask(token), 'ok')
    time.advance(1)
    t.equal(ask(token), 'token_expired')
    const later = mint.token()
    time.advance(-300_000)
    t.equal(ask(later), 'token_invalid', 'from the future')
    time.advance(300_000)
    t.equal(ask(later), 'ok', 'and not remembered as refused')
    t.equal(ask(token), 'token_expired')
  }
})

attack('J27 signatures of zeros, in DER, or of another size are refused', async (t, kit) => {
  const [header, payload, signature = ''] = kit.good.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  const half = bytes.length / 2
  const n = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
  const der = Buffer.concat([
    Buffer.from([0x30, 68, 2, 32]),
    bytes.subarray(0, 32),
    Buffer.from([2, 32]),
    bytes.subarray(32)
  ])
  const forged: Record<string, Buffer> = {
    zeros: Buffer.alloc(bytes.length),
    'one zero byte': Buffer.alloc(1),
    ones: Buffer.alloc(bytes.length, 0xff),
    'first half zero': Buffer.concat([Buffer.alloc(half), bytes.subarray(half)]),
    'second half zero': Buffer.concat([bytes.subarray(0, half), Buffer.alloc(half)]),
    'r = s = n': Buffer.concat([n, n]),
    'r = s = 1': Buffer.concat([Buffer.alloc(31), Buffer.from([1]), Buffer.alloc(31), Buffer.from([1])]),
    DER: der,
    halves: Buffer.concat([bytes.subarray(half), bytes.subarray(0, half)]),
    longer: Buffer.concat([bytes, Buffer.alloc(1)]),
    shorter: bytes.subarray(0, -1)
  }
  await refused(
    t,
    kit,
    mapValues(forged, (value) => `${header}.${payload}.${encode(value)}`)
  )
})

test('J28 verdicts do not depend on earlier requests, and hostile text gets one', async (t) => {
  for (const kit of kits) {
    const { accessTokens } = kit.gateway.gateway.parts
    const bad = `${kit.good.slice(0, -8)}AAAAAAAA`
    const isAccepted = (token: string) => !(accessTokens.verify(`Bearer ${token}`) instanceof ApiError)
    for (let index = 0; index < 50; index++) {
      if (!isAccepted(kit.good) || isAccepted(bad)) t.fail(`round ${index}`)
    }
    const hostile = ['a'.repeat(4_000), `${'a'.repeat(2_000)}.`.repeat(2), '.'.repeat(4_000), `${'a.'.repeat(2_000)}!`]
    // A verdict of exponential cost would not end within this test.
    for (const text of hostile) {
      isAccepted(text)
      isAccepted(kit.token({ iss: text.slice(0, 2_500) }))
      isAccepted(kit.token({ sub: text.slice(0, 2_500) }))
    }
  }
})

test('the published keys verify every token for anyone, and hold no private part', async (t) => {
  for (const kit of kits) {
    const body = (await (await kit.gateway.call('/.well-known/jwks.json')).json()) as JSONWebKeySet
    if (kit.algorithm === 'HS256') {
      t.same(body, { keys: [] })
      continue
    }
    t.equal(body.keys.length, 1)
    for (const member of ['d', 'k', 'p', 'q']) t.notOk(member in (body.keys[0] ?? {}))
    const options = { issuer: 'wxgate', audience: APPID, typ: 'at+jwt', currentDate: new Date(clock.now()) }
    const { protectedHeader } = await jwtVerify(kit.good, createLocalJWKSet(body), options)
    t.equal(protectedHeader.alg, kit.algorithm)
    const stranger = createMint(kit.algorithm, clock, 'another-secret-of-more-than-32-characters').token()
    await t.rejects(jwtVerify(stranger, createLocalJWKSet(body), options))
  }
})

test('with tokens.openid plain the client can read the openid, and only then', async (t) => {
  for (const openid of ['plain', 'sealed']) {
    const gateway = await buildTestGateway(t, upstream.url, { config: { tokens: { openid } } })
    const { access_token: token } = await gateway.login('alice')
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
    const { openId, unionId } = gateway.sandbox.state.people.person(APPID, 'alice')
    t.equal(payload.includes(openId), openid === 'plain')
    t.equal(payload.includes(unionId), openid === 'plain')
    t.equal((await gateway.call('/api', { token })).status, 200)
    t.match(upstream.seen.at(-1)?.headers, { 'x-openid': openId, 'x-unionid': unionId })
  }
})

async function directly(algorithm: SigningAlgorithm, wrap = (codec: JwtCodec) => codec, time = clock) {
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

function keyBytes({ key, algorithm }: Mint): Buffer | KeyObject {
  return algorithm === 'HS256' ? key.privateKey : key.publicKey.export({ format: 'der', type: 'spki' })
}

function mapValues<A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]))
}
