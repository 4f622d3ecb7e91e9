/** Message push through a running gateway. */
import { test } from 'tap'
import { decryptPush, pushSignature } from '../../src/platforms/wechat/push/cipher.ts'
import { parseXml } from '../../src/platforms/wechat/push/xml.ts'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  defaultConfig,
  OTHER_APPID,
  readTestConfig,
  SERVICE_TOKEN,
  type TestGateway
} from '../support/gateway.ts'
import type { Teardown } from '../support/listen.ts'
import { PUSH_KEY, PUSH_TOKEN, pushRequest, type SendOptions } from '../support/push.ts'
import { until } from '../support/until.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'

interface World {
  readonly gateway: TestGateway
  readonly upstream: TestUpstream
  /** The answer of the backend to the next events. */
  answer: { status: number; body: string }
  send(message: Readonly<Record<string, unknown>>, options?: SendOptions): Promise<Response>
}

const OTHER_APP_TOKEN = 'canary-other-app-token-01234567'

function configOf(push: Record<string, unknown> = {}) {
  const settings = { token: PUSH_TOKEN, encodingAesKey: PUSH_KEY, upstream: 'app', path: '/events', ...push }
  const tokens = [
    { name: 'all', token: SERVICE_TOKEN, scopes: ['session', 'admin'] },
    { name: 'other', token: OTHER_APP_TOKEN, scopes: ['admin'], apps: [OTHER_APPID] }
  ]
  return {
    service: { host: '127.0.0.1', port: 2, tokens },
    apps: [
      { appid: APPID, secret: APP_SECRET, push: settings },
      { appid: OTHER_APPID, secret: APP_SECRET }
    ]
  }
}

async function build(t: Teardown, push: Record<string, unknown> = {}): Promise<World> {
  const world = { answer: { status: 200, body: '' } }
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(world.answer.status).end(world.answer.body))
  const gateway = await buildTestGateway(t, upstream.url, { config: configOf(push) })
  const send = (message: Readonly<Record<string, unknown>>, options?: SendOptions) => {
    const { path, body } = pushRequest(APPID, message, options)
    return gateway.call(path, { method: 'POST', body })
  }
  return Object.assign(world, { gateway, upstream, send })
}

/** Without a key messages come in plain mode. */
const PLAIN = { encodingAesKey: undefined }

const event = (index: number, from = 'oALICE01') => ({
  ToUserName: 'gh_1',
  FromUserName: from,
  CreateTime: Math.floor(Date.now() / 1000),
  MsgType: 'event',
  Event: 'wxa_media_check',
  trace_id: `t${index}`
})

test('the check of the URL is answered with the echostr alone', async (t) => {
  const { gateway } = await build(t)
  const timestamp = String(Math.floor(Date.now() / 1000))
  const ask = (token: string) =>
    gateway.call(
      `/wechat/push/${APPID}?signature=${pushSignature(token, timestamp, 'n')}&timestamp=${timestamp}&nonce=n&echostr=42%3Cb`
    )
  const response = await ask(PUSH_TOKEN)
  t.equal(await response.text(), '42<b')
  t.match(response.headers.get('content-type'), 'text/plain')
  t.match(await (await ask('other')).json(), { status: 401, code: 'signature_invalid', action: 'none' })
})

for (const mode of ['plain', 'compatible', 'safe'] as const)
  for (const format of ['json', 'xml'] as const)
    test(`an event in ${mode} mode and ${format} reaches the backend as JSON with the identity of its sender`, async (t) => {
      const { gateway, upstream, send } = await build(t, mode === 'plain' ? PLAIN : {})
      const { user } = await gateway.login('alice', APPID)
      const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
      const response = await send({ ...event(1, openId), debug_str: '你好 <&>' }, { mode, format })
      t.equal(response.status, 200)
      t.equal(await response.text(), 'success')
      t.equal(upstream.seen.length, 1)
      const [seen] = upstream.seen
      t.match(seen, { method: 'POST', url: '/events' })
      t.match(seen?.headers, {
        'content-type': 'application/json',
        'x-openid': openId,
        'x-appid': APPID,
        'x-user-id': user.id,
        'x-wx-event-id': /^event\./
      })
      t.match(JSON.parse(seen?.body ?? ''), { Event: 'wxa_media_check', trace_id: 't1', debug_str: '你好 <&>' })
    })

test('the bytes of a message tell its format, whatever its Content-Type', async (t) => {
  const { gateway, upstream } = await build(t)
  const types = [';;;', '/', 'application/json; charset', 'text/xml', 'multipart/form-data']
  for (const [index, type] of types.entries())
    for (const format of ['json', 'xml'] as const) {
      const { path, body } = pushRequest(APPID, { ...event(index), format }, { format })
      const response = await gateway.call(path, { method: 'POST', body, headers: { 'content-type': type } })
      t.equal(await response.text(), 'success', `${type} ${format}`)
    }
  t.equal(upstream.seen.length, 2 * types.length)
})

test('a passive reply of the backend is returned in the mode and format of the event', async (t) => {
  const world = await build(t)
  world.answer = { status: 200, body: '{"MsgType":"transfer_customer_service"}' }
  const safe = (await (await world.send(event(2))).json()) as { Encrypt: string }
  t.equal(decryptPush(safe.Encrypt, PUSH_KEY, APPID), '{"MsgType":"transfer_customer_service"}')
  const xml = parseXml(await (await world.send(event(3), { format: 'xml' })).text())
  const inner = parseXml(decryptPush(String(xml?.Encrypt), PUSH_KEY, APPID) ?? '')
  t.same({ ...inner }, { MsgType: 'transfer_customer_service' })
  for (const [index, body] of ['thanks', 'a'.repeat(100_000)].entries()) {
    world.answer = { status: 200, body }
    t.equal(await (await world.send(event(4 + index))).text(), 'success')
    t.equal((await world.gateway.store.queue.depth(`push:${APPID}`)).waiting, 0, 'delivered')
  }
  const plain = await build(t, PLAIN)
  plain.answer = { status: 200, body: '{"MsgType":"transfer_customer_service"}' }
  t.same(await (await plain.send(event(1), { mode: 'plain' })).json(), { MsgType: 'transfer_customer_service' })
})

test('the sandbox sends checks and messages in every mode, and wrong ones', async (t) => {
  const world = await build(t)
  const { gateway, upstream } = world
  const push = async (fields: Record<string, unknown>) => {
    const to = { url: `${gateway.url}/wechat/push/${APPID}`, appid: APPID, token: PUSH_TOKEN, encodingAesKey: PUSH_KEY }
    const body = JSON.stringify({ ...to, user: 'alice', ...fields })
    const response = await fetch(`${gateway.sandboxUrl}/sandbox/push`, { method: 'POST', body })
    return { httpStatus: response.status, ...((await response.json()) as Record<string, unknown>) }
  }
  t.match(await push({ check: true }), { status: 200, isEchoed: true })
  t.match(await push({ check: true, token: 'otherToken' }), { status: 401, isEchoed: false })
  const openId = gateway.sandbox.state.people.person(APPID, 'alice').openId
  world.answer = { status: 200, body: '{"MsgType":"text","Content":"收到"}' }
  for (const mode of ['safe', 'compatible', 'plain'])
    for (const format of ['json', 'xml']) {
      upstream.seen.length = 0
      const message = { Event: 'wxa_media_check', trace_id: `${mode}-${format}` }
      const sent = await push({ mode, format, message })
      t.match(sent, { status: 200, ...(mode === 'plain' ? {} : { reply: { Content: '收到' } }) }, `${mode} ${format}`)
      t.match(upstream.seen[0]?.headers, { 'x-openid': openId })
      t.match(JSON.parse(upstream.seen[0]?.body ?? ''), { MsgType: 'event', ...message })
    }
  upstream.seen.length = 0
  for (const fault of ['signature', 'old', 'other-app', 'other-key'])
    t.match(await push({ fault }), { status: 401 }, fault)
  t.equal(upstream.seen.length, 0)
  for (const wrong of [{ url: 'gateway' }, { mode: 'x' }, { fault: 'x' }, { encodingAesKey: 'x' }, { message: [] }])
    t.match(await push(wrong), { httpStatus: 400, error: String }, JSON.stringify(wrong))
  t.match(await push({ encodingAesKey: '', mode: 'safe' }), { httpStatus: 400 })
})

test('a request that WeChat did not sign is refused, and nothing is forwarded or stored', async (t) => {
  const { gateway, upstream, send } = await build(t)
  const refused: SendOptions[] = [
    { token: 'otherToken' },
    { now: Date.now() - 600_000 },
    { now: Date.now() + 600_000 },
    { inside: OTHER_APPID },
    { mode: 'plain', token: 'otherToken' }
  ]
  for (const options of refused) {
    const response = await send(event(1), options)
    t.equal(response.status, 401)
    t.match(await response.json(), { code: 'signature_invalid', action: 'none' })
  }
  const { path, body } = pushRequest(APPID, event(1))
  const bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><xml><Encrypt>&a;</Encrypt></xml>'
  for (const wrong of [bomb, '', '[]', '{"a"', '<xml>', '['.repeat(500_000), '<a>'.repeat(100_000)]) {
    t.equal((await gateway.call(path, { method: 'POST', body: wrong })).status, 401, wrong.slice(0, 80))
  }
  t.equal((await gateway.call(path, { method: 'POST', body: `<a>${'a'.repeat(1024 * 1024)}</a>` })).status, 413)
  t.same(await gateway.store.queue.depth(`push:${APPID}`), { waiting: 0, bytes: 0, dead: 0 })
  t.equal(upstream.seen.length, 0)
  const reasons = gateway.lines.flatMap((line) => /"push_refused".*"reason":"(\w+)"/.exec(line)?.[1] ?? [])
  t.same(reasons.slice(0, 5), ['signature', 'timestamp', 'timestamp', 'encryption', 'signature'])
  t.equal((await gateway.call(path, { method: 'POST', body })).status, 200)
  t.equal(upstream.seen.length, 1)
})

test('an app without message push, and one that is not configured, are not found', async (t) => {
  const { gateway } = await build(t)
  for (const appId of [OTHER_APPID, 'wx0000000000000000', 'x']) {
    const { path, body } = pushRequest(appId, event(1))
    t.equal((await gateway.call(path, { method: 'POST', body })).status, 404, appId)
  }
})

test('a repeat is acknowledged and reaches the backend once', async (t) => {
  const { upstream, send, gateway } = await build(t)
  const same = event(1)
  const message = { ...event(2), MsgType: 'text', MsgId: 23637352235060880 }
  for (let index = 0; index < 3; index++) {
    t.equal(await (await send(same)).text(), 'success')
    t.equal(await (await send(message)).text(), 'success')
  }
  t.equal(upstream.seen.length, 2)
  const { path, body } = pushRequest(APPID, event(3))
  for (const title of ['first', 'replay'])
    t.equal((await gateway.call(path, { method: 'POST', body })).status, 200, title)
  t.equal(upstream.seen.length, 3)
})

test('a signature in plain mode, which covers no body, serves one message', async (t) => {
  const { upstream, gateway } = await build(t)
  const { path, body } = pushRequest(APPID, event(3), { mode: 'plain', nonce: 'used' })
  t.equal((await gateway.call(path, { method: 'POST', body })).status, 200)
  t.equal((await gateway.call(path, { method: 'POST', body })).status, 200, 'the same request')
  const forged = JSON.stringify(event(4))
  t.equal((await gateway.call(path, { method: 'POST', body: forged })).status, 401, 'its signature with another body')
  t.equal((await gateway.call(path, { method: 'POST', body: pushRequest(APPID, event(5)).body })).status, 401)
  t.equal(upstream.seen.length, 1)
})

test('a signature of an encrypted message, or of a check, serves no plain one', async (t) => {
  const { upstream, gateway } = await build(t)
  const forged = JSON.stringify(event(4))
  const { path, body } = pushRequest(APPID, event(3), { nonce: 'sealed' })
  t.equal((await gateway.call(path, { method: 'POST', body })).status, 200)
  const stripped = path.replace(/&(?:encrypt_type|msg_signature)=[^&]*/g, '')
  t.equal((await gateway.call(stripped, { method: 'POST', body: forged })).status, 401)
  const plain = pushRequest(APPID, event(5), { mode: 'plain', nonce: 'check' }).path
  t.equal((await gateway.call(`${plain}&echostr=1`)).status, 200)
  t.equal((await gateway.call(plain, { method: 'POST', body: forged })).status, 401)
  t.equal(upstream.seen.length, 1)
})

test('a signature in plain mode serves no message whose time and nonce are cut elsewhere', async (t) => {
  const { upstream, gateway } = await build(t, PLAIN)
  const { path, body } = pushRequest(APPID, event(3), { mode: 'plain', nonce: '0' })
  const moved = path.replace('timestamp=', 'timestamp=0').replace('nonce=0', 'nonce=')
  t.equal((await gateway.call(path, { method: 'POST', body })).status, 200)
  const forged = JSON.stringify(event(4))
  t.equal((await gateway.call(moved, { method: 'POST', body: forged })).status, 401, 'a nonce of zeros in the time')
  t.equal(upstream.seen.length, 1)
})

test('an event that the backend does not take is kept, and delivered in the order of its sender', async (t) => {
  const world = await build(t)
  world.answer = { status: 503, body: '' }
  for (let index = 0; index < 3; index++) t.equal(await (await world.send(event(index))).text(), 'success')
  t.equal((await world.gateway.store.queue.depth(`push:${APPID}`)).waiting, 3)
  world.answer = { status: 200, body: '' }
  world.upstream.seen.length = 0
  await until(async () => (await world.gateway.store.queue.depth(`push:${APPID}`)).waiting === 0)
  const order = world.upstream.seen.map(({ body }) => JSON.parse(body).trace_id)
  t.same(order, ['t0', 't1', 't2'])
})

test('a dead event blocks no other, is listed for operators, and is delivered again on request', async (t) => {
  const world = await build(t)
  const { gateway, upstream } = world
  const list = async (query = '', token = SERVICE_TOKEN) => {
    const response = await gateway.service(`/v1/push/dead${query}`, { token })
    return {
      status: response.status,
      ...((await response.json()) as { events: { id: string }[]; next: string | null })
    }
  }
  t.match(await list(), { status: 200, events: [], next: null })
  world.answer = { status: 422, body: '' }
  for (const index of [1, 2, 3]) t.equal(await (await world.send(event(index))).text(), 'success')
  world.answer = { status: 200, body: '' }
  t.equal(await (await world.send(event(4))).text(), 'success')
  t.match(await gateway.store.queue.depth(`push:${APPID}`), { waiting: 0, dead: 3 })
  const page = await list('?limit=2')
  const [first] = page.events
  t.match(first, {
    id: /^push\.wx1234567890abcdef\.\d+$/,
    appid: APPID,
    openid: 'oALICE01',
    event_id: /^event\./,
    body: /"trace_id":"t1"/,
    reason: 'the upstream answered 422'
  })
  t.match(await list(`?after=${page.next}&appid=${APPID}`), { events: [{ body: /"t3"/ }], next: null })
  t.equal((await list('?appid=wx0000000000000000')).status, 400)
  t.match(await list('', OTHER_APP_TOKEN), { status: 200, events: [] })
  t.equal((await list(`?appid=${APPID}`, OTHER_APP_TOKEN)).status, 403)

  const retry = async (id: string, token = SERVICE_TOKEN) =>
    (await gateway.service(`/v1/push/dead/${id}/retry`, { method: 'POST', token })).status
  t.equal(await retry(first?.id ?? '', OTHER_APP_TOKEN), 404)
  t.equal(await retry(`push.${APPID}.999`), 404)
  t.equal(await retry('x'), 400)
  upstream.seen.length = 0
  t.equal(await retry(first?.id ?? ''), 204)
  await until(() => upstream.seen.length === 1)
  t.match(JSON.parse(upstream.seen[0]?.body ?? ''), { trace_id: 't1' })
  t.equal(await retry(first?.id ?? ''), 404)
  await until(async () => (await gateway.store.queue.depth(`push:${APPID}`)).waiting === 0)
  const metrics = await (await gateway.service('/metrics')).text()
  t.match(metrics, `wxgate_push_events_total{app="${APPID}",result="dead"} 3`)
  t.match(metrics, `wxgate_push_events_total{app="${APPID}",result="delivered"} 2`)
  t.match(metrics, `wxgate_push_dead_events{app="${APPID}"}`)
})

test('waiting events outlive a reload that changes the upstream of message push', async (t) => {
  const world = await build(t)
  const { gateway, upstream } = world
  world.answer = { status: 503, body: '' }
  for (const index of [0, 1, 2]) await world.send(event(index))
  const next = await startUpstream(t, (_req, res) => res.end())
  const config = { ...defaultConfig(upstream.url), ...configOf() }
  const upstreams = { app: { targets: [{ url: upstream.url }] }, next: { targets: [{ url: next.url }] } }
  const [app, ...others] = config.apps
  const apps = [{ ...app, push: { ...app?.push, upstream: 'next' } }, ...others]
  await gateway.gateway.reload(readTestConfig({ ...config, upstreams, apps }))
  const before = upstream.seen.length
  await until(async () => (await gateway.store.queue.depth(`push:${APPID}`)).waiting === 0)
  t.same(
    next.seen.map(({ body }) => JSON.parse(body).trace_id),
    ['t0', 't1', 't2']
  )
  t.equal(upstream.seen.length, before, 'the former upstream gets none')
})

test('beyond its backlog WeChat gets 503, and the event comes again', async (t) => {
  const world = await build(t, { retry: { backlog: 1 } })
  world.answer = { status: 503, body: '' }
  await world.send(event(1))
  const response = await world.send(event(2))
  t.equal(response.status, 503)
  t.match(await response.json(), { code: 'upstream_unavailable' })
  world.answer = { status: 200, body: '' }
  await until(async () => (await world.gateway.store.queue.depth(`push:${APPID}`)).waiting === 0)
  t.equal((await world.send(event(2))).status, 200)
})

test('a user who revokes the authorization loses every session, and the backend is told', async (t) => {
  const { gateway, upstream, send } = await build(t)
  const { access_token: token } = await gateway.login('alice', APPID)
  t.equal((await gateway.call('/api/x', { token })).status, 200)
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const revoke = { ...event(1, openId), Event: 'user_authorization_revoke', OpenID: openId, RevokeInfo: '1' }
  t.equal((await send(revoke)).status, 200)
  t.match(await (await gateway.call('/api/x', { token })).json(), { code: 'session_revoked' })
  t.match(JSON.parse(upstream.seen.at(-1)?.body ?? ''), { Event: 'user_authorization_revoke' })
  const record = async () => (await gateway.service(`/v1/users/${APPID}/${openId}`, { token: SERVICE_TOKEN })).json()
  t.match(await record(), { authorization_revoked_at: /^20\d\d-.*Z$/ })

  const { access_token: later } = await gateway.login('alice', APPID)
  t.equal(await (await send(revoke)).text(), 'success')
  t.equal((await gateway.call('/api/x', { token: later })).status, 200, 'a repeat ends no later session')
  t.match(await record(), { authorization_revoked_at: /^20/ }, 'a login leaves the mark')
})

test('a revocation that finds the queue full ends the sessions once, however often WeChat repeats it', async (t) => {
  const world = await build(t, { retry: { backlog: 1 } })
  const { gateway, send } = world
  world.answer = { status: 503, body: '' }
  await send(event(1, 'oBOB00001'))
  const { access_token: token } = await gateway.login('alice', APPID)
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const revoke = { ...event(2, openId), Event: 'user_authorization_revoke', OpenID: openId, RevokeInfo: '1' }
  t.equal((await send(revoke)).status, 503)
  t.match(await (await gateway.call('/api/x', { token })).json(), { code: 'session_revoked' })
  const { access_token: later } = await gateway.login('alice', APPID)
  t.equal((await send(revoke)).status, 503)
  world.answer = { status: 200, body: '' }
  t.equal((await gateway.call('/api/x', { token: later })).status, 200)
})

test('no secret of message push is logged', async (t) => {
  const { gateway, send } = await build(t)
  await send(event(1))
  await send(event(2), { token: 'wrong1' })
  const log = gateway.lines.join('\n')
  for (const secret of [PUSH_TOKEN, PUSH_KEY]) t.notMatch(log, secret)
})
