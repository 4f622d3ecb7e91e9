import { createCipheriv } from 'node:crypto'
import { test } from 'tap'
import { createTestClock } from './support/clock.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID, SERVICE_TOKEN, type TestGateway } from './support/gateway.ts'
import { openClient } from './support/raw-client.ts'
import { startUpstream } from './support/upstream.ts'
import { sandboxOpenData, sandboxSessionKey } from './support/wechat-data.ts'

const TWO_APPS = [
  { appid: APPID, secret: APP_SECRET },
  { appid: OTHER_APPID, secret: APP_SECRET }
]

async function post(gateway: TestGateway, token: string, body: unknown) {
  const response = await gateway.call('/auth/open-data', { method: 'POST', token, body: JSON.stringify(body) })
  const { request_id, ...answer } = (await response.json()) as Record<string, unknown>
  return { status: response.status, body: answer, headers: response.headers }
}

test('open data comes back decrypted, without the members that name the user', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const alice = await gateway.login('alice')
  const sealed = await sandboxOpenData(gateway, 'alice')
  const { status, body, headers } = await post(gateway, alice.access_token, sealed)
  t.equal(status, 200)
  t.equal(headers.get('cache-control'), 'no-store')
  t.match(body, { data: { nickName: 'alice', watermark: { appid: APPID } } })
  t.notMatch(JSON.stringify(body), /openid|unionid/i)
})

test('every spelling of openId and unionId is removed, and nothing else', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const alice = await gateway.login('alice')
  const data = {
    openid: 'x',
    open_id: 'x',
    OPENID: 'x',
    unionid: 'x',
    union_id: 'x',
    openGId: 'tGroup',
    stepInfoList: [1]
  }
  const { body } = await post(gateway, alice.access_token, await sandboxOpenData(gateway, 'alice', { data }))
  t.same(Object.keys((body as { data: object }).data).sort(), ['openGId', 'stepInfoList', 'watermark'])
})

test('with tokens.openid: plain the data is whole', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, { config: { tokens: { openid: 'plain' } } })
  const alice = await gateway.login('alice')
  const { body } = await post(gateway, alice.access_token, await sandboxOpenData(gateway, 'alice'))
  t.match(body, { data: { openId: /^o/, unionId: /^u/ } })
})

test('a signature is checked over the exact bytes of rawData', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const { rawData, signature } = await sandboxOpenData(gateway, 'alice', { rawData: '{ "nickName" : "爱丽丝" }' })
  t.same((await post(gateway, token, { rawData, signature })).body, { valid: true })
  const rewritten = JSON.stringify(JSON.parse(rawData))
  t.same((await post(gateway, token, { rawData: rewritten, signature })).body, { valid: false })
  t.same((await post(gateway, token, { rawData, signature: signature.toUpperCase() })).body, { valid: false })
  t.same((await post(gateway, token, { rawData, signature: 'x' })).body, { valid: false })
})

test('data encrypted just before another login still decrypts, for ten minutes', async (t) => {
  const clock = createTestClock()
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, { clock })
  await gateway.login('sandbox-alice-1')
  const before = await sandboxOpenData(gateway, 'alice')
  const { access_token: token } = await gateway.login('sandbox-alice-2')
  const after = await sandboxOpenData(gateway, 'alice')
  t.equal((await post(gateway, token, after)).status, 200, 'newest key')
  t.equal((await post(gateway, token, before)).status, 200, 'previous key')
  const signedBefore = { rawData: before.rawData, signature: before.signature }
  t.same((await post(gateway, token, signedBefore)).body, { valid: false }, 'the previous key only decrypts')
  clock.advance(10 * 60_000)
  t.equal((await post(gateway, token, after)).status, 200)
  t.equal((await post(gateway, token, before)).status, 409)
  await gateway.login('sandbox-alice-3')
  await gateway.login('sandbox-alice-4')
  t.equal((await post(gateway, token, after)).status, 409, 'two logins ago')
})

test('every failure to decrypt has the same answer', async (t) => {
  const clock = createTestClock()
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, {
    clock,
    config: { apps: TWO_APPS, sessions: { sessionKeyTtl: '1h' } }
  })
  const alice = await gateway.login('alice', APPID)
  await gateway.login('bob', APPID)
  await gateway.login('alice', OTHER_APPID)
  const good = await sandboxOpenData(gateway, 'alice')
  const bytes = Buffer.from(good.encryptedData, 'base64')
  const openId = gateway.sandbox.state.people.person(APPID, 'alice').openId
  const key = gateway.sandbox.state.people.sessionKeys(APPID, openId).current ?? ''
  const badPadding = () => {
    const iv = Buffer.alloc(16)
    const cipher = createCipheriv('aes-128-cbc', Buffer.from(key, 'base64'), iv).setAutoPadding(false)
    const encrypted = Buffer.concat([cipher.update('x'.repeat(31)), cipher.update(Buffer.from([17])), cipher.final()])
    return { encryptedData: encrypted.toString('base64'), iv: iv.toString('base64') }
  }
  const withData = (data: object) => sandboxOpenData(gateway, 'alice', { data })
  const seconds = Math.floor(clock.now() / 1000)
  const cases: Record<string, object> = {
    'invalid base64': { ...good, encryptedData: '!!!!' },
    base64url: { ...good, encryptedData: bytes.toString('base64url') },
    'no bytes at all': { ...good, encryptedData: '' },
    'not a whole block': { ...good, encryptedData: bytes.subarray(1).toString('base64') },
    'an iv of 15 bytes': { ...good, iv: Buffer.alloc(15).toString('base64') },
    'an iv of 17 bytes': { ...good, iv: Buffer.alloc(17).toString('base64') },
    'another iv': { ...good, iv: Buffer.alloc(16).toString('base64') },
    'a flipped bit': {
      ...good,
      encryptedData: Buffer.from(bytes.map((b, i) => (i === 20 ? b ^ 1 : b))).toString('base64')
    },
    'invalid padding': badPadding(),
    'no JSON': { ...good, encryptedData: bytes.subarray(0, 32).toString('base64') },
    'data of another user': await sandboxOpenData(gateway, 'bob'),
    'data of another mini-program': await sandboxOpenData(gateway, 'alice', { appid: OTHER_APPID }),
    'the watermark of another mini-program': await withData({ watermark: { appid: OTHER_APPID, timestamp: seconds } }),
    'no time in the watermark': await withData({ watermark: { appid: APPID } }),
    'a watermark of two hours ago': await withData({ watermark: { appid: APPID, timestamp: seconds - 7200 } }),
    'an openId that is not the user': await withData({ openId: 'oSomebodyElse00000000000000' })
  }
  const { access_token: token } = alice
  const answers = new Set<string>()
  for (const [what, body] of Object.entries(cases)) {
    const answer = await post(gateway, token, body)
    t.equal(answer.status, 409, what)
    answers.add(JSON.stringify(answer.body))
  }
  await sandboxSessionKey(gateway, 'alice', 'rotate')
  const rotated = await sandboxOpenData(gateway, 'alice')
  answers.add(JSON.stringify((await post(gateway, token, rotated)).body))
  clock.advance(3_700_000)
  answers.add(JSON.stringify((await post(gateway, token, good)).body))
  answers.add(JSON.stringify((await post(gateway, token, { rawData: good.rawData, signature: good.signature })).body))
  t.equal(answers.size, 1)
  t.match(JSON.parse([...answers][0] ?? ''), { code: 'session_key_stale', action: 'login', status: 409 })
})

test('two mini-programs with the same user keep their keys apart', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, { config: { apps: TWO_APPS } })
  const here = await gateway.login('alice', APPID)
  const there = await gateway.login('alice', OTHER_APPID)
  const sealedHere = await sandboxOpenData(gateway, 'alice', { appid: APPID })
  const sealedThere = await sandboxOpenData(gateway, 'alice', { appid: OTHER_APPID })
  t.equal((await post(gateway, here.access_token, sealedHere)).status, 200)
  t.equal((await post(gateway, there.access_token, sealedThere)).status, 200)
  t.equal((await post(gateway, here.access_token, sealedThere)).status, 409)
  t.equal((await post(gateway, there.access_token, sealedHere)).status, 409)
})

test('an incomplete, wrongly typed or too large body is refused with that reason', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const cases: unknown[] = [
    {},
    [],
    null,
    'text',
    { encryptedData: 'AAAA' },
    { iv: 'AAAA' },
    { rawData: '{}' },
    { signature: 'x' },
    { encryptedData: 1, iv: 'AAAA' },
    { encryptedData: ['AAAA'], iv: 'AAAA' },
    { encryptedData: 'A'.repeat(65 * 1024), iv: 'AAAA' },
    { encryptedData: 'AAAA', iv: 'A'.repeat(1000) },
    { rawData: 'x'.repeat(65 * 1024), signature: 'x' }
  ]
  for (const body of cases) {
    const answer = await post(gateway, token, body)
    t.match(answer, { status: 400, body: { code: 'invalid_request' } }, JSON.stringify(body)?.slice(0, 60))
  }
  t.match(await post(gateway, token, { encryptedData: 'A'.repeat(10_000_000), iv: 'A' }), {
    status: 413,
    body: { code: 'body_too_large', action: 'none' }
  })
  t.match(await (await gateway.call('/auth/open-data', { method: 'POST', body: '{}' })).json(), {
    code: 'token_missing'
  })
})

test('a client that sends too much receives the error', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const body = 'x'.repeat(2_000_000)
  const rows = [
    [gateway.port, '/auth/login', token],
    [gateway.port, '/auth/open-data', token],
    [gateway.servicePort, '/v1/open-data', SERVICE_TOKEN]
  ] as const
  for (const [port, path, bearer] of rows) {
    const client = await openClient(t, port)
    const failures: string[] = []
    client.socket.on('error', (error) => failures.push(String(error)))
    const type = 'Content-Type: application/json\r\n'
    client.send(
      `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${type}Authorization: Bearer ${bearer}\r\nContent-Length: ${body.length}\r\n\r\n`
    )
    t.match(await client.response(), { status: 413, headers: { connection: 'close' } }, path)
    client.send(body)
    await client.closed
    t.same(failures, [], `${path}: no reset that could lose the answer`)
  }
})

test('the session shows whether WeChat still accepts its session_key', async (t) => {
  const clock = createTestClock()
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, {
    clock,
    config: { sessions: { sessionKeyTtl: '1h' } }
  })
  const { access_token: token, user } = await gateway.login('alice')
  const session = async (query = '') => (await gateway.call(`/auth/session${query}`, { token })).json()
  t.match(await session(), { user: { id: user.id, status: 'anonymous' }, appid: APPID, session_key: { stored: true } })
  t.notMatch(await session(), { session_key: { valid: Boolean } })
  t.match(await session('?check=true'), { session_key: { stored: true, valid: true } })
  await sandboxSessionKey(gateway, 'alice', 'expire')
  t.match(await session('?check=true'), { session_key: { stored: true, valid: false } })
  clock.advance(3_700_000)
  t.match(await session('?check=true'), { session_key: { stored: false, valid: false } })
})

test('a stored key that was changed, or moved to another user, counts as missing', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  await gateway.login('bob')
  const sealed = await sandboxOpenData(gateway, 'alice')
  const recordOf = (name: string) => `key:wechat:${APPID}:${gateway.sandbox.state.people.person(APPID, name).openId}`
  const stored = (await gateway.store.get(recordOf('alice'))) ?? ''
  const { current } = JSON.parse(stored) as { current: { key: string; at: number } }
  const [kid = '', text = ''] = current.key.split('.')
  const bytes = Buffer.from(text, 'base64url')
  const withKey = (key: string) => JSON.stringify({ current: { ...current, key }, previous: null })
  const flipped = (at: number) => Buffer.from(bytes.map((byte, index) => (index === at ? byte ^ 1 : byte)))
  const cases: Record<string, string> = {
    'a bit of the iv': withKey(`${kid}.${flipped(0).toString('base64url')}`),
    'a bit of the text': withKey(`${kid}.${flipped(14).toString('base64url')}`),
    'a bit of the tag': withKey(`${kid}.${flipped(bytes.length - 1).toString('base64url')}`),
    'a tag cut short': withKey(`${kid}.${bytes.subarray(0, -4).toString('base64url')}`),
    'an unknown secret': withKey(`AAAAAAAA.${text}`),
    'no kid': withKey(text),
    'nothing sealed': withKey(''),
    'the key of another user': (await gateway.store.get(recordOf('bob'))) ?? '',
    'no record': 'null',
    'no JSON': '{'
  }
  for (const [what, record] of Object.entries(cases)) {
    await gateway.store.set(recordOf('alice'), record, 60_000)
    t.match(await post(gateway, token, sealed), { status: 409, body: { code: 'session_key_stale' } }, what)
    const session = await (await gateway.call('/auth/session?check=true', { token })).json()
    t.match(session, { session_key: { stored: false, valid: false } }, what)
  }
  await gateway.store.set(recordOf('alice'), stored, 60_000)
  t.equal((await post(gateway, token, sealed)).status, 200)
  await gateway.store.set(recordOf('alice'), '{', 60_000)
  await gateway.login('sandbox-alice-2')
  t.equal((await post(gateway, token, await sandboxOpenData(gateway, 'alice'))).status, 200, 'a login repairs it')
})

test("one user cannot use up the mini-program's calls to WeChat", async (t) => {
  const server = { host: '127.0.0.1', port: 1, loginLimit: { max: 2, window: '1h', by: 'ip' } }
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url, { config: { server } })
  const { access_token: token } = await gateway.login('alice')
  const { access_token: other } = await gateway.login('bob')
  const check = async (of: string) => (await gateway.call('/auth/session?check=true', { token: of })).status
  t.same([await check(token), await check(token), await check(token)], [200, 200, 429])
  t.equal(await check(other), 200)
  t.equal((await gateway.call('/auth/session', { token })).status, 200, 'without asking WeChat')
})

test('neither key nor openid is in any answer, log line or metric', async (t) => {
  const gateway = await buildTestGateway(t, (await startUpstream(t)).url)
  const { access_token: token } = await gateway.login('alice')
  const sealed = await sandboxOpenData(gateway, 'alice')
  const answers = [await post(gateway, token, sealed), await post(gateway, token, { ...sealed, iv: 'x' })]
  const openId = gateway.sandbox.state.people.person(APPID, 'alice').openId
  const key = gateway.sandbox.state.people.sessionKeys(APPID, openId).current ?? ''
  const metrics = await (await gateway.service('/metrics')).text()
  const everything = JSON.stringify(answers) + gateway.lines.join('') + metrics
  t.notOk(everything.includes(key))
  t.notOk(everything.includes(openId))
})
