/** Invented and altered access tokens: rows J01 to J15 of the attack corpus, for every algorithm,
 *  over the wire. jose judges each token with the same key and rules, and may never be stricter
 *  than the gateway. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { exportJWK } from 'jose'
import { test } from 'tap'
import { ApiError } from '../src/errors.ts'
import { SECRET } from './support/gateway.ts'
import { encode, hmacToken, joseAccepts, type Members, type Mint } from './support/jwt.ts'
import { attack, clock, directly, now, refused, refusedWhateverJoseSays, send, signed } from './support/jwt-attack.ts'
import { startServer } from './support/listen.ts'

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

function keyBytes({ key, algorithm }: Mint): Buffer | KeyObject {
  return algorithm === 'HS256' ? key.privateKey : key.publicKey.export({ format: 'der', type: 'spki' })
}
