import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID, type TestGateway } from './support/gateway.ts'
import type { Teardown } from './support/listen.ts'
import { idle } from './support/timers.ts'
import { startUpstream, type TestUpstream } from './support/upstream.ts'
import { sandboxOpenData } from './support/wechat-data.ts'

type Body = NonNullable<RequestInit['body']>

const ROUTES = [
  { path: '/run', upstream: 'app', openData: true },
  { path: '/maybe', upstream: 'app', openData: true, auth: 'optional' },
  { path: '/small', upstream: 'app', openData: true, bodyLimit: '1kb' },
  { path: '/wide', upstream: 'app', openData: true, bodyLimit: '8mb' },
  { path: '/plain', upstream: 'app' }
]

async function build(t: Teardown, config: Record<string, unknown> = {}) {
  const upstream = await startUpstream(t)
  const apps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
  const gateway = await buildTestGateway(t, upstream.url, { config: { apps, routes: ROUTES, ...config } })
  return { gateway, upstream }
}

async function post(
  gateway: TestGateway,
  path: string,
  token: string | undefined,
  body: Body,
  headers: Record<string, string> = {}
) {
  const init = { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers }, duplex: 'half' }
  const response = await gateway.call(path, { ...init, ...(token === undefined ? {} : { token }) } as RequestInit)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const last = (upstream: TestUpstream) => upstream.seen.at(-1)

test('the backend gets the plain data instead of the encrypted', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  const sent = { before: [1, { a: null }], encryptedData, iv, note: '茶' }
  t.equal((await post(gateway, '/run/steps?x=1', token, JSON.stringify(sent), { 'x-kept': 'yes' })).status, 200)
  const seen = last(upstream)
  const got = JSON.parse(seen?.body ?? '') as Record<string, unknown>
  t.same(Object.keys(got), ['before', 'note', 'openData'])
  const openId = gateway.sandbox.state.people.person(APPID, 'alice').openId
  t.match(got, {
    before: [1, { a: null }],
    note: '茶',
    openData: { openId, nickName: 'alice', watermark: { appid: APPID } }
  })
  t.equal(seen?.url, '/run/steps?x=1')
  t.match(seen?.headers, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(seen?.body ?? '')),
    'x-openid': openId,
    'x-kept': 'yes'
  })
})

test('numbers keep their digits, and digests of the old body are removed', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  const body = `{"id":12345678901234567890,"price":1.10,"encryptedData":"${encryptedData}","iv":"${iv}"}`
  const digests = { 'content-md5': 'x', digest: 'x', 'content-digest': 'x', 'repr-digest': 'x' }
  t.equal((await post(gateway, '/run', token, body, digests)).status, 200)
  t.match(last(upstream)?.body, /^\{"id":12345678901234567890,"price":1\.10,"openData":\{/)
  t.same(
    Object.keys(last(upstream)?.headers ?? {}).filter((name) => /digest|md5/.test(name)),
    []
  )
})

test('a body without the two members passes byte for byte', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const bodies = [
    '{}',
    '{ "a" : 1.0,\n "a": 2 }',
    '{"encryptedData":"AAAA"}',
    '{"iv":"AAAA"}',
    '{"encryptedData":1,"iv":"AAAA"}',
    '{"nested":{"encryptedData":"AAAA","iv":"AAAA","openData":{}}}',
    ' \n{"openDatabase":1,"openData1":2}'
  ]
  for (const body of bodies) {
    for (const headers of [{}, { 'content-digest': 'x' }]) {
      t.equal((await post(gateway, '/run', token, body, headers)).status, 200, body)
      t.equal(last(upstream)?.body, body)
      t.equal(last(upstream)?.headers['content-length'], String(Buffer.byteLength(body)))
    }
  }
  t.equal(last(upstream)?.headers['content-digest'], 'x')
  const get = await gateway.call('/run', { token })
  t.equal(get.status, 200)
  t.equal((await gateway.call('/run', { token, method: 'DELETE' })).status, 200)
})

test('a body that a lenient parser could read as an object with openData is refused', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const forged = '{"openData":{"phoneNumber":"13800000000"}}'
  const utf16 = (text: string) => Buffer.from(text, 'utf16le')
  const rows: [string, Body][] = [
    ['application/json; charset=utf-7', '+AHs-"openData":1}'],
    ['application/json; charset=utf-16', utf16(forged)],
    ['application/json; charset=IBM500', '{"a":1}'],
    ['application/json; charset=utf-8; charset=utf-7', '{"a":1}'],
    ['application/json', utf16(forged)],
    ['application/json', `\ufeff${forged}`],
    ['application/json', `/* */${forged}`],
    ['application/json', `// x\n${forged}`],
    ['application/json', `)]}'\n${forged}`],
    ['application/json', '{"a":1,}'],
    ['application/json', '[{"openData":1}]'],
    ['application/json', forged],
    ['application/json', '{"open-data":1}'],
    ['application/json', '{"OPEN_DATA":1}'],
    ['application/json', '{"\\u006fpenData":1}'],
    ['application/json', '{"__proto__":{"openData":1}}'],
    ['application/json', 'text'],
    ['application/x-www-form-urlencoded', 'openData[phoneNumber]=1'],
    ['multipart/form-data; boundary=x', '--x\r\nContent-Disposition: form-data; name="openData"\r\n\r\n1\r\n--x--'],
    ['text/plain', forged],
    ['text/json', forged]
  ]
  for (const encoding of [
    { 'content-encoding': 'deflate' },
    { 'content-encoding': 'identity, br' },
    { 'content.encoding': 'gzip' }
  ])
    t.equal((await post(gateway, '/run', token, '{"a":1}', encoding)).status, 400, JSON.stringify(encoding))
  const lines = 'Content-Encoding: identity\r\nContent-Encoding: deflate\r\nConnection: close\r\n'
  const head = `POST /run HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\n`
  t.match(await gateway.raw(`${head}${lines}Content-Length: 7\r\n\r\n{"a":1}`), /^HTTP\/1\.1 400 /)
  for (const [type, body] of rows) {
    const answer = await post(gateway, '/run', token, body, { 'content-type': type })
    t.equal(answer.status, 400, `${type} ${String(body).slice(0, 30)}`)
    t.equal(answer.body.code, 'invalid_request')
  }
  t.same(upstream.seen, [])
})

test('X-Open-Data marks data that the gateway decrypted, and no client can send it', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const forged = { 'x-open-data': 'verified', 'X-Open_Data': 'verified', 'x.open.data': 'verified' }
  for (const path of ['/run', '/plain']) {
    t.equal((await post(gateway, path, token, '{}', forged)).status, 200)
    t.notMatch(JSON.stringify(last(upstream)?.headers), /verified/)
  }
  const sealed = JSON.stringify(await sandboxOpenData(gateway, 'alice'))
  t.equal((await post(gateway, '/run', token, sealed, { 'x-open-data': 'forged' })).status, 200)
  t.equal(last(upstream)?.headers['x-open-data'], 'verified')
})

test('data that does not decrypt is 409, one body for all, and does not reach the backend', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  await gateway.login('bob', APPID)
  await gateway.login('alice', OTHER_APPID)
  const good = await sandboxOpenData(gateway, 'alice')
  const sealed = [
    { ...good, iv: 'x' },
    { ...good, encryptedData: '' },
    { ...good, encryptedData: 'A'.repeat(100_000) },
    await sandboxOpenData(gateway, 'bob'),
    await sandboxOpenData(gateway, 'alice', { appid: OTHER_APPID })
  ]
  const answers = new Set<string>()
  for (const { encryptedData, iv } of sealed) {
    const answer = await post(gateway, '/run', token, JSON.stringify({ encryptedData, iv }))
    answers.add(JSON.stringify({ ...answer, body: { ...answer.body, request_id: '' } }))
  }
  t.equal(answers.size, 1)
  t.match(JSON.parse([...answers][0] ?? ''), { status: 409, body: { code: 'session_key_stale', action: 'login' } })
  t.equal(upstream.seen.length, 0)
})

test('only the gateway can set the open data', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  const forged = { phoneNumber: '13800000000' }
  const bodies: (string | Buffer)[] = [
    JSON.stringify({ openData: forged }),
    `{"__proto__":${JSON.stringify({ openData: forged })}}`,
    JSON.stringify({ openData: forged, encryptedData, iv }),
    JSON.stringify({ encryptedData, iv, opendata: forged }),
    JSON.stringify({ OpenData: forged }),
    JSON.stringify({ open_data: forged }),
    JSON.stringify({ ｏpenData: forged }),
    '{"\\u006fpenData":{}}',
    '  \n\t {"openData":{}}',
    '{"openData":{},"openData":null}',
    '\uFEFF{"openData":{}}',
    '{"openData":{},}',
    "{'openData':{}}",
    '{"a":1}{"openData":{}}',
    Buffer.from('{"openData":{}}', 'utf16le'),
    Buffer.from('\uFEFF{"openData":{}}', 'utf16le'),
    Buffer.from('{"openData":{}}', 'utf16le').swap16(),
    Buffer.concat([Buffer.from('{"openData":{},"x":"'), Buffer.from([0xff]), Buffer.from('"}')])
  ]
  const types = ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', '']
  for (const body of bodies) {
    for (const type of types) {
      for (const path of ['/run', '/maybe']) {
        const answer = await post(gateway, path, token, body, { 'content-type': type })
        t.match(
          answer,
          { status: 400, body: { code: 'invalid_request' } },
          `${type} ${JSON.stringify(body.toString().slice(0, 40))}`
        )
      }
    }
  }
  t.match(await post(gateway, '/maybe', undefined, JSON.stringify({ openData: forged })), { status: 400 })
  const zipped = gzipSync(JSON.stringify({ openData: forged }))
  t.match(await post(gateway, '/run', token, zipped, { 'content-encoding': 'gzip' }), { status: 400 })
  const pieces = ['', ' ', '\n', '{"open', 'Data":{', '}}']
  const slowly = new ReadableStream({
    async start(controller) {
      for (const piece of pieces) {
        if (piece !== '') controller.enqueue(Buffer.from(piece))
        await idle()
      }
      controller.close()
    }
  })
  t.match(await post(gateway, '/run', token, slowly), { status: 400 })
  t.equal(upstream.seen.length, 0)
})

test('open data without a login is 401', async (t) => {
  const { gateway, upstream } = await build(t)
  await gateway.login('alice', APPID)
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  t.match(await post(gateway, '/maybe', undefined, JSON.stringify({ encryptedData, iv })), {
    status: 401,
    body: { code: 'token_missing', action: 'login' }
  })
  t.equal((await post(gateway, '/maybe', undefined, '{"a":1}')).status, 200)
  t.equal(upstream.seen.length, 1)
})

test('JSON is read up to a limit', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const json = (size: number) => `{"a":"${'x'.repeat(size - 8)}"}`
  const stream = (text: string) => new Blob([text]).stream()
  const tooLarge = { status: 413, body: { code: 'body_too_large' } }
  t.equal((await post(gateway, '/run', token, json(256 * 1024))).status, 200)
  t.match(await post(gateway, '/run', token, json(256 * 1024 + 1)), tooLarge)
  t.match(await post(gateway, '/run', token, stream(json(300_000))), tooLarge)
  t.match(await post(gateway, '/run', token, `${' '.repeat(300_000)}{"openData":1}`), tooLarge)
  t.match(await post(gateway, '/wide', token, json(3_000_000)), tooLarge)
  t.equal((await post(gateway, '/small', token, json(1024))).status, 200)
  t.match(await post(gateway, '/small', token, json(1025)), tooLarge)
  t.match(await post(gateway, '/small', token, stream(json(1025))), tooLarge)
  t.equal(upstream.seen.length, 2)
})

test('JSON nested too deeply to read is refused, and the gateway lives', async (t) => {
  const { gateway } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const deep = `{"a":${'['.repeat(120_000)}${']'.repeat(120_000)}}`
  t.match(await post(gateway, '/run', token, deep), { status: 400, body: { code: 'invalid_request' } })
  t.equal((await post(gateway, '/run', token, '{}')).status, 200)
})

test('a client that sends half a body and stays silent is given up', async (t) => {
  const limits = { bodyIdleTimeout: '200ms' }
  const { gateway, upstream } = await build(t, { server: { host: '127.0.0.1', port: 1, limits } })
  const { access_token: token } = await gateway.login('alice', APPID)
  const head = `POST /run HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n`
  const answer = await gateway.raw(`${head}{"a":`)
  t.match(answer, /^HTTP\/1\.1 408 /)
  t.match(answer, /request_timeout/)
  t.equal(upstream.seen.length, 0)
})

test('on other routes nothing is read', async (t) => {
  const { gateway, upstream } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  const body = JSON.stringify({ encryptedData, iv, openData: 1 })
  t.equal((await post(gateway, '/plain', token, body)).status, 200)
  t.equal(last(upstream)?.body, body)
})

test('a limit is counted before the body is read, and an unreachable target is replaced by another', async (t) => {
  const upstream = await startUpstream(t)
  const gone = await startUpstream(t)
  await gone.close()
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      upstreams: { app: { targets: [{ url: gone.url }, { url: upstream.url }] } },
      routes: [{ path: '/run', upstream: 'app', openData: true, rateLimit: { max: 3, window: '1h', by: 'user' } }]
    }
  })
  const { access_token: token } = await gateway.login('alice')
  const { encryptedData, iv } = await sandboxOpenData(gateway, 'alice')
  for (let index = 0; index < 3; index++) {
    t.equal((await post(gateway, '/run', token, JSON.stringify({ encryptedData, iv }))).status, 200)
    t.match(JSON.parse(last(upstream)?.body ?? ''), { openData: { nickName: 'alice' } })
  }
  t.match(await post(gateway, '/run', token, '{'), { status: 429, body: { code: 'rate_limited' } })
})
