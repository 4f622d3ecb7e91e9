import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { test } from 'tap'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { ApiError } from '../src/errors.ts'
import { createTestClock } from './support/clock.ts'
import { APPID, buildTestGateway, OTHER_APPID, SECRET } from './support/gateway.ts'
import { ALGORITHMS, createMint, encode, type Members } from './support/jwt.ts'
import {
  attack,
  clock,
  directly,
  kits,
  refused,
  refusedWhateverJoseSays,
  send,
  upstream
} from './support/jwt-attack.ts'

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

function mapValues<A, B>(record: Record<string, A>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]))
}
