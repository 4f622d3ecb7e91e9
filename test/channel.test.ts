/** Routes with `channel: true`: encrypted requests and answers, and everything that is refused. */
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { type Test, test } from 'tap'
import { readUserKeys } from '../src/platforms/wechat/channel.ts'
import { type Direction, openMessage, parseChannelHeader, sealMessage } from '../src/proxy/transforms/channel-format.ts'
import {
  latestUserKey,
  openAnswer,
  type SealedRequest,
  type SealOptions,
  sealRequest,
  type UserKey
} from './support/channel.ts'
import { createTestClock } from './support/clock.ts'
import { configText, problems } from './support/config.ts'
import {
  APPID,
  buildTestGateway,
  fillRoom,
  type Login,
  type TestGateway,
  type TestGatewayOptions
} from './support/gateway.ts'
import { startRawUpstream } from './support/raw-upstream.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'
import { KEY } from './support/websocket.ts'

const MINUTE = 60_000
const KEYS_PATH = '/wxa/business/getuserencryptkey'

const ROUTES = [
  { path: '/safe', upstream: 'app', channel: true, bodyLimit: '8kb' },
  { path: '/safe/body', upstream: 'app', channel: true, allow: { getBody: true } },
  { path: '/open', upstream: 'app' }
]

interface Vector {
  readonly name: string
  readonly direction: Direction
  readonly place: string[]
  readonly content: { readonly type: string; readonly body: string } | null
  readonly header: string
  readonly ciphertext: string
}

interface Sender {
  readonly gateway: TestGateway
  readonly login: Login
  readonly key: UserKey
  send(sealed: SealedRequest): Promise<Response>
  /** Seals, sends and opens. */
  ask(options: SealOptions): Promise<{ status: number; headers: Headers; type?: string; text?: string }>
}

async function startSender(t: Test, url: string, options: TestGatewayOptions = {}): Promise<Sender> {
  const config = { routes: ROUTES, ...options.config }
  const gateway = await buildTestGateway(t, url, { ...options, config })
  const login = await gateway.login('alice')
  const key = await latestUserKey(gateway, 'alice')
  const send = ({ path, init }: SealedRequest) => gateway.call(path, init)
  return {
    gateway,
    login,
    key,
    send,
    async ask(given) {
      const sealed = sealRequest(key, login, given)
      const response = await send(sealed)
      const opened = await openAnswer(key, sealed, response)
      return { status: response.status, headers: response.headers, ...opened }
    }
  }
}

/** Status and code of a refusal, which stays in clear. */
async function refusalOf(response: Response): Promise<string> {
  const body = (await response.json()) as { code?: string; action?: string }
  return `${response.status} ${body.code} ${body.action}${response.headers.has('wxgate-channel') ? ' sealed' : ''}`
}

test('a sealed request reaches the upstream in clear, and its answer comes back sealed', async (t) => {
  const upstream = await startUpstream(t, (req, res, { url, body }) => {
    const status = url.includes('gone') ? 404 : 201
    res.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      etag: '"1"',
      'content-md5': 'x',
      'x-own': 'yes'
    })
    res.end(`${req.method} ${url} ${body} 茶`)
  })
  const { gateway, ask } = await startSender(t, upstream.url)
  const posted = await ask({ path: '/safe/orders?a=1&b=%E8%8C%B6', body: '{"tea":"茶"}' })
  t.equal(posted.text, 'POST /safe/orders?a=1&b=%E8%8C%B6 {"tea":"茶"} 茶')
  t.equal(posted.type, 'text/plain; charset=utf-8')
  t.equal(posted.status, 201)
  t.match(Object.fromEntries(posted.headers), {
    'content-type': 'application/octet-stream',
    'cache-control': 'no-store',
    etag: '"1"',
    'x-own': 'yes'
  })
  t.notOk(posted.headers.has('content-md5'))
  const { headers = {} } = upstream.seen[0] ?? {}
  t.match(headers, { 'content-type': 'application/json', 'content-length': '13', 'x-openid': /^o/ })
  for (const name of ['wxgate-channel', 'authorization', 'accept-encoding', 'transfer-encoding'])
    t.notOk(name in headers, name)

  const wanted: [SealOptions, string][] = [
    [{ path: '/safe/x' }, 'GET /safe/x  茶'],
    [{ path: '/safe/gone' }, 'GET /safe/gone  茶'],
    [{ path: '/safe/x', method: 'DELETE' }, 'DELETE /safe/x  茶'],
    [{ path: '/safe/x', method: 'PUT', body: '' }, 'PUT /safe/x  茶'],
    [{ path: '/safe/x', body: 'a=1', type: 'application/x-www-form-urlencoded' }, 'POST /safe/x a=1 茶'],
    [{ path: '/safe/x', body: 'no type', type: '' }, 'POST /safe/x no type 茶']
  ]
  for (const [options, text] of wanted) t.equal((await ask(options)).text, text, JSON.stringify(options))
  t.notOk('content-type' in (upstream.seen.at(-1)?.headers ?? {}))
  t.equal(
    (await gateway.call('/open/x', { token: (await gateway.login('bob')).access_token })).status,
    201,
    'other routes'
  )
})

test('answers without a body are sealed too: HEAD, 204, 304', async (t) => {
  const upstream = await startUpstream(t, (_req, res, { url }) => {
    const status = Number(url.split('/').at(-1))
    res.writeHead(status, status === 200 ? { 'content-length': '5', 'content-type': 'text/plain' } : { etag: '"1"' })
    res.end(status === 200 ? 'hello' : undefined)
  })
  const { ask } = await startSender(t, upstream.url)
  const head = await ask({ path: '/safe/200', method: 'HEAD' })
  t.match(head, { status: 200, text: undefined })
  t.notOk(head.headers.has('content-length'), 'the length in clear is not told')
  for (const status of [204, 304]) t.match(await ask({ path: `/safe/${status}` }), { status, text: undefined })
  t.match(await ask({ path: '/safe/200' }), { status: 200, text: 'hello', type: 'text/plain' })
})

test('a request that is not sealed for exactly this call is refused, and nothing reaches the upstream', async (t) => {
  const upstream = await startUpstream(t)
  const { gateway, login, key, send } = await startSender(t, upstream.url)
  const bob = await gateway.login('bob')
  const bobsKey = await latestUserKey(gateway, 'bob')
  const body = '{"amount":1}'
  const path = '/safe/pay?to=1'
  const good = () => sealRequest(key, login, { path, body })
  const sealed = good()
  const header = (new Headers(sealed.init.headers).get('wxgate-channel') ?? '').split('.')
  const withHeader = (value: string, { path: at, init }: SealedRequest = good()): SealedRequest => ({
    path: at,
    init: { ...init, headers: { ...(init.headers as Record<string, string>), 'wxgate-channel': value } },
    nonce: ''
  })
  const flipped = Uint8Array.from(sealed.init.body as Uint8Array)
  flipped[3] = (flipped[3] ?? 0) ^ 1
  const other = { path, init: { ...sealed.init, token: bob.access_token }, nonce: '' }
  const rows: [string, SealedRequest][] = [
    ['plain JSON', { path, init: { method: 'POST', body, token: login.access_token }, nonce: '' }],
    ['a plain GET', { path, init: { token: login.access_token }, nonce: '' }],
    ['another path', { ...good(), path: '/safe/refund?to=1' }],
    ['another query', { ...good(), path: '/safe/pay?to=2' }],
    ['another method', { ...good(), init: { ...good().init, method: 'PUT' } }],
    ['another body', { path, init: { ...sealed.init, body: flipped }, nonce: '' }],
    ['no body', { path, init: { ...sealed.init, body: null }, nonce: '' }],
    ['a body on a request sealed without one', { ...sealRequest(key, login, { path, method: 'POST' }), path }].map(
      (item) => (typeof item === 'string' ? item : { ...item, init: { ...item.init, body } })
    ) as [string, SealedRequest],
    ["another user's token", other],
    ["another user's key", sealRequest(bobsKey, login, { path, body })],
    ['another user id', sealRequest(key, login, { path, body, userId: bob.user.id })],
    ['another app', sealRequest(key, login, { path, body, appId: 'wxfedcba0987654321' })],
    ['another version', sealRequest({ ...key, version: key.version + 1 }, login, { path, body })],
    ['an old time', sealRequest(key, login, { path, body, time: Date.now() - 6 * MINUTE })],
    ['a time to come', sealRequest(key, login, { path, body, time: Date.now() + 6 * MINUTE })],
    [
      'an altered time',
      withHeader(header.map((part, index) => (index === 2 ? String(Number(part) + 1) : part)).join('.'))
    ],
    ['an empty header', withHeader('')],
    ['another format', withHeader(header.join('.').replace('v1', 'v2'))],
    ['a cut header', withHeader(header.slice(0, 4).join('.'))],
    ['two headers', withHeader(`${header.join('.')}, ${header.join('.')}`)],
    ['a type with a line break', sealRequest(key, login, { path, body, type: 'a/b\r\nX-Evil: 1' })]
  ]
  for (const [name, request] of rows) t.equal(await refusalOf(await send(request)), '400 channel_invalid none', name)
  t.equal(upstream.seen.length, 0)
  t.equal(await refusalOf(await gateway.call(path)), '401 token_missing login', 'the token comes first')
  const upgrade = `GET /safe/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${login.access_token}\r\n`
  const handshake = `${upgrade}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`
  t.match(await gateway.raw(handshake), /^HTTP\/1\.1 400 .*channel_invalid/s, 'a WebSocket')
  t.equal((await send(sealed)).status, 200, 'the original is untouched by all of this')
})

test('a sealed request is accepted once, on whichever instance it arrives', async (t) => {
  const upstream = await startUpstream(t)
  const first = await startSender(t, upstream.url)
  const second = await buildTestGateway(t, upstream.url, {
    config: { routes: ROUTES, wechat: { apiBase: first.gateway.sandboxUrl, timeout: '60s' } },
    store: first.gateway.store,
    sandbox: first.gateway.sandbox
  })
  const sealed = sealRequest(first.key, first.login, { path: '/safe/x', body: '{}' })
  const answers = await Promise.all([1, 2, 3].map(() => first.send(sealed)))
  t.same(answers.map(({ status }) => status).sort(), [200, 409, 409])
  t.equal(await refusalOf(await second.call(sealed.path, sealed.init)), '409 channel_replayed none')
  t.equal(upstream.seen.length, 1)
  const again = sealRequest(first.key, first.login, { path: '/safe/x', body: '{}' })
  t.equal((await second.call(again.path, again.init)).status, 200)
  const { byPath } = first.gateway.sandbox.state.calls.counts()
  t.equal(byPath[KEYS_PATH], 1, 'the instances share the key')
})

test('one call to WeChat serves a user until the key rolls over, and old keys end', async (t) => {
  const clock = createTestClock()
  const upstream = await startUpstream(t)
  const { gateway, login, key, send } = await startSender(t, upstream.url, { clock })
  const calls = () => gateway.sandbox.state.calls.counts().byPath[KEYS_PATH] ?? 0
  const ask = async (one: UserKey, count = 1) => {
    const time = clock.now()
    const all = Array.from({ length: count }, () =>
      send(sealRequest(one, login, { path: '/safe/x', body: '{}', time }))
    )
    return (await Promise.all(all)).map(({ status }) => status)
  }
  t.same(new Set(await ask(key, 20)), new Set([200]))
  t.equal(calls(), 1)
  const next = await latestUserKey(gateway, 'alice', true)
  t.equal(next.version, key.version + 1)
  t.same([...(await ask(next)), ...(await ask(key)), ...(await ask(next))], [200, 200, 200], 'late requests too')
  t.equal(calls(), 2)

  const refused = new Set<number>()
  for (let version = next.version + 1; version < next.version + 12; version++) {
    for (const status of await ask({ ...key, version })) refused.add(status)
  }
  t.same(refused, new Set([400, 429]), 'invented versions are limited')
  t.ok(calls() <= 6, `${calls()} calls`)
  t.same(await ask(next), [200], 'known keys still work')

  const bob = await gateway.login('bob')
  const bobs = await latestUserKey(gateway, 'bob')
  const answer = await send(sealRequest(bobs, bob, { path: '/safe/x', time: clock.now() }))
  t.equal(answer.status, 200, 'the limit is of one user')

  clock.advance(66 * MINUTE)
  t.same(await ask(key), [400], 'an hour and five minutes later')
  t.notMatch(
    gateway.lines.join('\n'),
    new RegExp(`${inPattern(key.encryptKey)}|${inPattern(next.encryptKey)}`),
    'not in the log'
  )
})

test('the errors of WeChat have the action that helps', async (t) => {
  const upstream = await startUpstream(t)
  const { gateway, login, key, send, ask } = await startSender(t, upstream.url)
  const { people, faults, calls } = gateway.sandbox.state
  const { openId } = people.person(APPID, 'alice')
  const fail = (errcode: number) =>
    faults.add({ path: KEYS_PATH, fault: { kind: 'errcode', errcode }, appId: null, times: 1, skip: 0, after: false })
  const refusal = async () => refusalOf(await send(sealRequest(key, login, { path: '/safe/x' })))
  fail(-1)
  t.equal(await refusal(), '503 wechat_unavailable retry')
  people.expireSessionKey(APPID, openId)
  t.equal(await refusal(), '409 session_key_stale login')
  const again = await gateway.login('sandbox-alice-2')
  const sealed = sealRequest(key, again, { path: '/safe/x' })
  fail(43001)
  t.equal((await send(sealed)).status, 200, 'a login brings a session_key, and a GET the keys')
  t.same(
    calls
      .list(KEYS_PATH)
      .map(({ method }) => method)
      .slice(-2)
      .sort(),
    ['GET', 'POST']
  )
  t.match(await ask({ path: '/safe/y' }), { status: 200 })

  const item = { encrypt_key: 'VI6BpyrK9XH4i4AIGe86tg==', version: 10, expire_in: 3597, iv: '6003f73ec441c386' }
  t.same(readUserKeys([item], 1000), [{ version: 10, key: item.encrypt_key, expiresAt: 3_598_000 }])
  const bad: unknown[] = [undefined, {}, [], [null], Array.from({ length: 17 }, () => item)]
  for (const change of [
    { encrypt_key: 'short' },
    { version: '10' },
    { version: -1 },
    { expire_in: 1e9 },
    { expire_in: 0.5 }
  ])
    bad.push([item, { ...item, ...change }])
  for (const list of bad) t.equal(readUserKeys(list, 0), null, JSON.stringify(list)?.slice(0, 90))
})

test('limits hold for the bodies of both directions, and an answer that cannot be sealed is refused', async (t) => {
  const answers: Record<string, string | Buffer> = {
    large: `HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n${'x'.repeat(9000)}`,
    fits: `HTTP/1.1 200 OK\r\nContent-Length: 8192\r\n\r\n${'x'.repeat(8192)}`,
    chunked: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    stream: 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n',
    zipped: Buffer.concat([
      Buffer.from(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${gzipSync('x').length}\r\n\r\n`),
      gzipSync('x')
    ]),
    forged: 'HTTP/1.1 200 OK\r\nWxgate-Channel: v1.forged\r\nX-OpenId: x\r\nContent-Length: 2\r\n\r\nok'
  }
  const upstream = await startRawUpstream(t, (socket, head) => {
    const name = /\/safe\/(\w+)/.exec(head)?.[1] ?? ''
    if (name === 'stall') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    else if (name === 'cut') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    else socket.write(answers[name] ?? 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n')
  })
  const { gateway, login, key, send, ask } = await startSender(t, upstream.url, {
    config: { upstreams: { app: { targets: [{ url: upstream.url }], timeouts: { idle: '300ms' } } } }
  })
  const stalled = refusalOf(await send(sealRequest(key, login, { path: '/safe/stall' })))
  t.equal(await stalled, '504 upstream_timeout retry')
  for (const name of ['large', 'stream', 'zipped']) {
    const refused = await refusalOf(await send(sealRequest(key, login, { path: `/safe/${name}` })))
    t.equal(refused, '502 upstream_invalid retry', name)
  }
  t.match(
    await refusalOf(await send(sealRequest(key, login, { path: '/safe/cut', method: 'POST', body: '1' }))),
    /^502 /
  )
  t.equal((await ask({ path: '/safe/fits' })).text?.length, 8192)
  t.match(await ask({ path: '/safe/chunked' }), { status: 200, text: 'hello' })
  t.match(await ask({ path: '/safe/forged' }), { status: 200, text: 'ok' })
  t.match(await ask({ path: '/safe/other' }), { status: 500, text: '' }, 'errors of the upstream are sealed')
  const replayed = sealRequest(key, login, { path: '/safe/fits' })
  await send(replayed)
  t.equal(await refusalOf(await send(replayed)), '409 channel_replayed none')
  const large = sealRequest(key, login, { path: '/safe/fits', body: 'x'.repeat(8192) })
  t.equal(await refusalOf(await send(large)), '413 body_too_large none')
  t.equal((await ask({ path: '/safe/body', method: 'DELETE', body: 'x'.repeat(20_000) })).status, 500)
  t.match(await refusalOf(await gateway.call('/safe/fits', { token: login.access_token })), /channel_invalid/)
  const metrics = await (await gateway.service('/metrics')).text()
  const counted = [...metrics.matchAll(/^wxgate_channel_(\w+)_total\{result="(\w+)"\} (\d+)$/gm)]
  t.same(
    counted.map(([, name, result, value]) => `${name} ${result} ${value}`),
    [
      ...['requests opened 11', 'requests unencrypted 1', 'requests invalid 0', 'requests late 0'],
      ...['requests replayed 1', 'requests overloaded 0', 'requests failed 0'],
      ...['answers sealed 6', 'answers refused 3']
    ]
  )
})

test('another target is asked for the same sealed request, as on any route', async (t) => {
  const broken = await startUpstream(t, (_req, res) => res.writeHead(503).end('busy'))
  const working = await startUpstream(t)
  const targets = [{ url: broken.url }, { url: working.url }]
  const { ask } = await startSender(t, working.url, {
    config: { upstreams: { app: { targets, retries: { attempts: 1, on: [503] } } } }
  })
  for (let count = 0; count < 4; count++) t.match(await ask({ path: '/safe/x' }), { status: 200, text: '{"ok":true}' })
  t.ok(broken.seen.length > 0)
  t.equal(working.seen.length, 4)
})

test('the room of held bodies is given back: after answers, refusals, and clients that leave', async (t) => {
  const large = 'x'.repeat(256 * 1024)
  const upstream = await startUpstream(t, (_req, res, { url }) => {
    if (url.includes('never')) return
    res.writeHead(200, { 'content-type': 'text/plain' }).end(url.includes('echo') ? large : 'ok')
  })
  const routes = [{ path: '/safe', upstream: 'app', channel: true, bodyLimit: '1mb' }]
  const { login, key, gateway, send, ask } = await startSender(t, upstream.url, { config: { routes } })
  const isEmpty = () => {
    const { isFilled, release } = fillRoom(gateway, 0)
    release()
    return isFilled
  }
  t.equal((await ask({ path: '/safe/echo', body: large })).text?.length, large.length)
  await until(isEmpty)

  const { path, init } = sealRequest(key, login, { path: '/safe/never', body: large })
  const controller = new AbortController()
  const left = gateway.call(path, { ...init, signal: controller.signal }).catch(() => null)
  await until(() => upstream.seen.length === 2)
  t.notOk(isEmpty(), 'a request under way holds its body')
  controller.abort()
  await left
  await until(isEmpty)

  const forged = sealRequest(key, login, { path: '/safe/x', body: large, userId: 'u_other' })
  t.equal(await refusalOf(await send(forged)), '400 channel_invalid none')
  await until(isEmpty)
})

test('the gateway makes and reads the vectors of the documentation, in both languages', (t) => {
  const [english = '', chinese] = ['', '.zh-CN'].map((language) => {
    const page = readFileSync(new URL(`../docs/channel${language}.md`, import.meta.url), 'utf8')
    return /^```json\n(.*?)^```$/ms.exec(page)?.[1]
  })
  t.equal(chinese, english)
  const key = Buffer.from('VI6BpyrK9XH4i4AIGe86tg==', 'base64')
  const vectors = JSON.parse(english) as Vector[]
  t.ok(vectors.length > 3)
  for (const { name, direction, place, content, header, ciphertext } of vectors) {
    const parsed = parseChannelHeader(header)
    if (parsed === null) {
      t.fail(name)
      continue
    }
    const clear = content && { type: content.type, body: Buffer.from(content.body) }
    const sealed = sealMessage(direction, key, { ...parsed, place }, clear, parsed.nonce)
    t.same({ header: sealed.header, ciphertext: sealed.body.toString('base64') }, { header, ciphertext }, name)
    const body = Buffer.from(ciphertext, 'base64')
    t.same(openMessage(direction, key, parsed, place, body), clear, name)
    const opposite = direction === 'request' ? 'response' : 'request'
    t.equal(openMessage(opposite, key, parsed, place, body), false, 'no message serves as one of the other direction')
  }
  t.end()
})

test('a route with a channel needs a token and reads the body alone', (t) => {
  const channel = (more: string) =>
    problems(configText({ routes: `[{ path: /api, upstream: orders, channel: true${more} }]` }))
  t.same(channel(''), [])
  t.match(channel(', auth: optional'), [/routes\[0\]\.channel: cannot work here/])
  t.match(channel(', auth: public'), [/routes\[0\]\.channel: cannot work here/])
  t.match(channel(', openData: true'), [/routes\[0\]\.channel: cannot be combined with openData/])
  t.end()
})

function inPattern(text: string): string {
  return text.replace(/[^A-Za-z0-9]/g, '\\$&')
}
