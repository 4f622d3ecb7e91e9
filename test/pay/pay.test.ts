/** Payments through a running gateway and the sandbox: orders, arguments of wx.requestPayment, and
 *  notices. */
import { createHash, verify } from 'node:crypto'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { StoreError } from '../../src/errors.ts'
import { generateMerchant } from '../../src/sandbox/pay/merchants.ts'
import { createSandbox } from '../../src/sandbox/server.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  defaultConfig,
  OTHER_APPID,
  readTestConfig,
  SERVICE_TOKEN,
  type TestGateway,
  type TestGatewayOptions
} from '../support/gateway.ts'
import { API_V2_KEY, API_V3_KEY, generateRsa, MCHID, payConfig, SERIAL } from '../support/pay.ts'
import { quietLog } from '../support/store.ts'
import { until } from '../support/until.ts'
import { startUpstream, type TestUpstream } from '../support/upstream.ts'

const RSA = generateRsa()
const NARROW_TOKEN = 'token-for-another-app-0123456789'
const OPERATOR_TOKEN = 'operator-token-0123456789'
const SESSION_TOKEN = 'token-without-the-scope-0123456789'

interface World {
  readonly gateway: TestGateway
  readonly upstream: TestUpstream
  /** The answer of the backend to the next events. */
  answer: { status: number }
  readonly openId: string
  readonly notifyUrl: string
  pay(path: 'params' | 'request', body: Record<string, unknown>, token?: string): Promise<Response>
  order(number: string, changes?: Record<string, unknown>): Promise<Response>
  /** A control endpoint of the sandbox. */
  control(path: string, body: Record<string, unknown>): Promise<Record<string, unknown>>
  /** The user pays; returns the gateway's answer to the notice. */
  notify(number: string, more?: Record<string, unknown>): Promise<{ status: number; body: string }>
  /** Calls of the pay API with this path. */
  calls(path: string): number
}

async function build(t: Test, pay: Record<string, unknown> = {}, options: TestGatewayOptions = {}): Promise<World> {
  const world = { answer: { status: 200 } }
  const upstream = await startUpstream(t, (_req, res) => res.writeHead(world.answer.status).end())
  const apps = [
    { appid: APPID, secret: APP_SECRET, pay: payConfig(RSA, pay) },
    { appid: OTHER_APPID, secret: APP_SECRET }
  ]
  const tokens = [
    { name: 'test', token: SERVICE_TOKEN, scopes: ['pay'] },
    { name: 'narrow', token: NARROW_TOKEN, scopes: ['pay'], apps: [OTHER_APPID] },
    { name: 'session', token: SESSION_TOKEN, scopes: ['session'] },
    { name: 'operator', token: OPERATOR_TOKEN, scopes: ['admin'] }
  ]
  const service = { host: '127.0.0.1', port: 2, tokens }
  const { config, ...rest } = options
  const gateway = await buildTestGateway(t, upstream.url, { ...rest, config: { apps, service, ...config } })
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const notifyUrl = `${gateway.url}/wechat/pay/notify/${APPID}`
  const post = (path: string, body: unknown, token = SERVICE_TOKEN) =>
    gateway.service(path, { method: 'POST', token, body: JSON.stringify(body) })
  const control = async (path: string, body: Record<string, unknown>) => {
    const init = { method: 'POST', body: JSON.stringify(body) }
    return (await (await fetch(`${gateway.sandboxUrl}/sandbox/pay/${path}`, init)).json()) as Record<string, unknown>
  }
  return Object.assign(world, {
    gateway,
    upstream,
    openId,
    notifyUrl,
    control,
    pay: (path: string, body: Record<string, unknown>, token?: string) => post(`/v1/pay/${path}`, body, token),
    order: (number: string, changes: Record<string, unknown> = {}) => {
      const amount = { total: 100, currency: 'CNY' }
      const order = { appid: APPID, mchid: MCHID, description: 'tea', out_trade_no: number, notify_url: notifyUrl }
      const body = { ...order, amount, payer: { openid: openId }, ...changes }
      return post('/v1/pay/request', { appid: APPID, method: 'POST', path: '/v3/pay/transactions/jsapi', body })
    },
    notify: async (number: string, more: Record<string, unknown> = {}) =>
      (await control('notices', { out_trade_no: number, ...more })).answer as { status: number; body: string },
    calls: (path: string) => gateway.sandbox.state.calls.list(path).length
  })
}

test('a user pays: the order is signed, so are the arguments of wx.requestPayment, and the backend gets the result once', async (t) => {
  const { gateway, upstream, openId, pay, order, notify, calls } = await build(t)
  const { user } = await gateway.login('alice', APPID)
  const ordered = await order('T00001', { attach: '你好' })
  t.equal(ordered.status, 200)
  const { prepay_id } = (await ordered.json()) as { prepay_id: string }

  const signed = await pay('params', { appid: APPID, prepay_id })
  t.equal(signed.status, 200)
  const params = (await signed.json()) as Record<string, string>
  t.same(Object.keys(params), ['timeStamp', 'nonceStr', 'package', 'signType', 'paySign'])
  t.match(params, { timeStamp: /^\d{10}$/, nonceStr: /^\w{32}$/, package: `prepay_id=${prepay_id}`, signType: 'RSA' })
  const text = `${APPID}\n${params.timeStamp}\n${params.nonceStr}\n${params.package}\n`
  t.ok(verify('RSA-SHA256', Buffer.from(text), RSA.publicKey, Buffer.from(params.paySign ?? '', 'base64')))

  t.match(await notify('T00001'), { status: 204, body: '' })
  t.match(await notify('T00001'), { status: 204, body: '' }, 'a repeat')
  t.equal(upstream.seen.length, 1)
  const [seen] = upstream.seen
  t.match(seen, { method: 'POST', url: '/paid' })
  t.match(seen?.headers, {
    'x-appid': APPID,
    'x-openid': openId,
    'x-user-id': user.id,
    'x-wx-event-id': /^EV-/,
    'content-type': 'application/json'
  })
  t.notOk(seen?.headers['wechatpay-signature'])
  const event = JSON.parse(seen?.body ?? '')
  t.match(event, {
    event_type: 'TRANSACTION.SUCCESS',
    original_type: 'transaction',
    id: seen?.headers['x-wx-event-id']
  })
  t.match(event.resource, { mchid: MCHID, out_trade_no: 'T00001', trade_state: 'SUCCESS', attach: '你好' })
  t.notOk(event.resource.ciphertext)

  const target = `/v3/pay/transactions/out-trade-no/T00001?mchid=${MCHID}`
  const query = await pay('request', { appid: APPID, method: 'GET', path: target })
  t.match(await query.json(), { trade_state: 'SUCCESS', amount: { total: 100 } })
  t.equal(calls('/v3/certificates'), 1, 'certificates are fetched once')
  const status = await (await gateway.service('/v1/status', { token: OPERATOR_TOKEN })).json()
  t.match(status, {
    certificates: [{ use: `apps.${APPID}.pay`, subject: /CN=/, state: 'ok' }],
    queues: [{ kind: 'pay', results: { delivered: 1 } }]
  })
})

test('a refund is notified after its payment; closing an order has an answer without a body', async (t) => {
  const { upstream, order, notify, control, pay } = await build(t)
  await order('T00001')
  await notify('T00001')
  const body = { out_trade_no: 'T00001', out_refund_no: 'R1', amount: { refund: 40, total: 100, currency: 'CNY' } }
  const refund = await pay('request', { appid: APPID, method: 'POST', path: '/v3/refund/domestic/refunds', body })
  t.match(await refund.json(), { status: 'PROCESSING', out_refund_no: 'R1' })
  t.match(await control('notices', { out_refund_no: 'R1' }), { answer: { status: 204 } })
  const kinds = upstream.seen.map((one) => JSON.parse(one.body))
  t.match(kinds, [
    { event_type: 'TRANSACTION.SUCCESS' },
    { event_type: 'REFUND.SUCCESS', resource: { out_refund_no: 'R1' } }
  ])
  t.notOk(upstream.seen[1]?.headers['x-openid'], 'a refund names no payer')
  await order('T00002')
  const path = '/v3/pay/transactions/out-trade-no/T00002/close'
  const closed = await pay('request', { appid: APPID, method: 'POST', path, body: JSON.stringify({ mchid: MCHID }) })
  t.equal(closed.status, 204)
  t.equal(await closed.text(), '')
})

test('refusals of the pay API are passed on with their status and body', async (t) => {
  const { order, pay } = await build(t)
  const wrong = await order('T00001', { description: '' })
  t.equal(wrong.status, 400)
  t.match(await wrong.json(), { code: 'PARAM_ERROR' })
  const path = `/v3/pay/transactions/out-trade-no/T00009?mchid=${MCHID}`
  const unknown = await pay('request', { appid: APPID, method: 'GET', path })
  t.equal(unknown.status, 404)
  t.match(await unknown.json(), { code: 'ORDER_NOT_EXIST' })
})

test('arguments for an order of API v2 need its key', async (t) => {
  const { pay } = await build(t, { apiKey: API_V2_KEY })
  const md5 = await pay('params', { appid: APPID, prepay_id: 'wx1', sign_type: 'MD5' })
  const { timeStamp, nonceStr, ...rest } = (await md5.json()) as Record<string, string>
  const text = `appId=${APPID}&nonceStr=${nonceStr}&package=prepay_id=wx1&signType=MD5&timeStamp=${timeStamp}`
  t.match(rest, {
    signType: 'MD5',
    paySign: createHash('md5').update(`${text}&key=${API_V2_KEY}`).digest('hex').toUpperCase()
  })
  const hmac = await pay('params', { appid: APPID, prepay_id: 'wx1', sign_type: 'HMAC-SHA256' })
  t.match(await hmac.json(), { signType: 'HMAC-SHA256', paySign: /^[0-9A-F]{64}$/ })
  t.equal((await pay('params', { appid: APPID, prepay_id: 'wx1', sign_type: 'RSA2' })).status, 400)
  t.equal((await pay('params', { appid: APPID, prepay_id: 'wx1&key=' })).status, 400)
  const without = await build(t)
  const refused = await without.pay('params', { appid: APPID, prepay_id: 'wx1', sign_type: 'MD5' })
  t.equal(refused.status, 400)
  t.match(await refused.json(), { code: 'invalid_request', detail: /apps\[\]\.pay\.apiKey/ })
})

test('a call needs the scope, the app and a plain path below /v3/; nothing else reaches the pay API', async (t) => {
  const { gateway, pay } = await build(t)
  const call = { appid: APPID, method: 'GET', path: '/v3/x' }
  const cases: [Record<string, unknown>, number, string, string?][] = [
    [call, 401, 'token_invalid', 'wrong'],
    [call, 403, 'forbidden', SESSION_TOKEN],
    [call, 403, 'forbidden', NARROW_TOKEN],
    [{ ...call, appid: OTHER_APPID }, 404, 'not_found'],
    [{ ...call, appid: 'wx0000000000000000' }, 400, 'invalid_request'],
    [{ ...call, path: '/v3/certificates' }, 403, 'forbidden'],
    [{ ...call, path: '/v3/billdownload/file?token=x' }, 403, 'forbidden'],
    [{ ...call, path: '/xpay/query_order' }, 403, 'forbidden'],
    [{ ...call, path: '//evil.example/v3/x' }, 400, 'bad_path'],
    [{ ...call, path: '/v3/../x' }, 400, 'bad_path'],
    [{ ...call, path: '/v3/x\r\nx: y' }, 400, 'bad_path'],
    [{ ...call, method: 'CONNECT' }, 400, 'invalid_request'],
    [{ ...call, body: {} }, 400, 'invalid_request'],
    [{ ...call, method: 'POST', body: '\ud800' }, 400, 'invalid_request'],
    [{ ...call, method: 'POST', body: 'x'.repeat(300_000) }, 413, 'body_too_large']
  ]
  for (const [body, status, code, token] of cases) {
    const response = await pay('request', body, token)
    t.equal(response.status, status, JSON.stringify(body).slice(0, 80))
    t.match(await response.json(), { code })
  }
  const nested = `${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}`
  const text = JSON.stringify({ ...call, method: 'POST' }).replace(/}$/, `,"body":${nested}}`)
  const deep = await gateway.service('/v1/pay/request', { method: 'POST', token: SERVICE_TOKEN, body: text })
  t.equal(deep.status, 400, 'a deeply nested body')
  t.match(await deep.json(), { code: 'invalid_request' })
  const virtual = await pay('request', { ...call, path: '/xpay/query_order' })
  t.match(await virtual.json(), { detail: /\/v1\/sign/ }, 'the error names the place of virtual payment')
  t.equal(gateway.sandbox.state.calls.counts().total, 0)
})

test('an answer that WeChat Pay did not sign is 502, and a call is never written twice', async (t) => {
  const { gateway, order, control, calls } = await build(t)
  const path = '/v3/pay/transactions/jsapi'
  t.equal((await order('T00001')).status, 200)
  for (const fault of ['unsigned', 'wrong-signature', 'old', 'unknown-serial', 'probe']) {
    await control('answers', { fault })
    const response = await order('T00001')
    t.equal(response.status, 502, fault)
    t.match(await response.json(), { code: 'upstream_invalid', detail: /not signed by WeChat Pay/ }, fault)
  }
  const before = calls(path)
  for (const kind of ['reset', 'truncated', 'garbage', 'huge'] as const) {
    const fault = { path, fault: { kind }, appId: null, times: 5, skip: 0, after: true }
    gateway.sandbox.state.faults.add(fault)
    const response = await order('T00001')
    t.equal(response.status, 503, kind)
    t.match(await response.json(), { code: 'wechat_unavailable', detail: /may have taken effect/ })
    gateway.sandbox.state.faults.clear()
  }
  t.equal(calls(path), before + 4, 'each was written once')
  t.equal((await order('T00001')).status, 200)
  const metrics = await (await gateway.service('/metrics')).text()
  t.match(metrics, `wxgate_pay_calls_total{app="${APPID}",result="unverified"} 5`)
  t.match(metrics, `wxgate_pay_calls_total{app="${APPID}",result="unavailable"} 4`)
})

test('a notice that is not for this merchant is refused: nothing is stored, forwarded or fetched', async (t) => {
  const { gateway, upstream, order, notify, calls, notifyUrl } = await build(t)
  await order('T00001')
  const fetched = calls('/v3/certificates')
  const faults = ['unsigned', 'wrong-signature', 'old', 'probe', 'undecryptable', 'other-app', 'other-merchant']
  for (const fault of faults) {
    const { status, body } = await notify('T00001', { fault })
    t.equal(status, 401, fault)
    t.match(JSON.parse(body), { code: 'signature_invalid', action: 'none' }, fault)
    t.notMatch(body, API_V3_KEY)
  }
  t.equal(calls('/v3/certificates'), fetched, 'no certificate was fetched')
  for (let index = 0; index < 3; index++) t.equal((await notify('T00001', { fault: 'unknown-serial' })).status, 401)
  t.equal(calls('/v3/certificates'), fetched, 'a serial that is unknown causes no fetch soon after another')
  const post = (body: string, path = new URL(notifyUrl).pathname) => gateway.call(path, { method: 'POST', body })
  for (const body of ['', '{}', '[]', 'x', '{"resource":{}}']) t.equal((await post(body)).status, 401, body)
  t.equal((await post('x'.repeat(200_000))).status, 413)
  t.equal((await post('{}', `/wechat/pay/notify/${OTHER_APPID}`)).status, 404)
  t.equal((await post('{}', '/wechat/pay/notify/x')).status, 404)
  t.equal((await gateway.call(new URL(notifyUrl).pathname)).status, 405)
  t.same(await gateway.store.queue.depth(`pay:${APPID}`), { waiting: 0, bytes: 0, dead: 0 })
  t.equal(upstream.seen.length, 0)
  t.equal((await notify('T00001')).status, 204)
  t.equal(upstream.seen.length, 1)
})

test('a notice that the backend does not take is kept, and delivered in the order of its trade', async (t) => {
  const world = await build(t, { retry: { backlog: 2 } })
  const { gateway, upstream, order, notify, pay, control } = world
  for (const number of ['T00001', 'T00002']) await order(number)
  world.answer = { status: 503 }
  t.equal((await notify('T00001')).status, 204)
  const body = { out_trade_no: 'T00001', out_refund_no: 'R1', amount: { refund: 1, total: 100, currency: 'CNY' } }
  await pay('request', { appid: APPID, method: 'POST', path: '/v3/refund/domestic/refunds', body })
  t.match(await control('notices', { out_refund_no: 'R1' }), { answer: { status: 204 } })
  const full = await notify('T00002')
  t.equal(full.status, 503, 'beyond the backlog')
  t.match(JSON.parse(full.body), { code: 'FAIL', message: /wait/ })
  world.answer = { status: 200 }
  upstream.seen.length = 0
  await until(async () => (await gateway.store.queue.depth(`pay:${APPID}`)).waiting === 0)
  t.same(
    upstream.seen.map((one) => JSON.parse(one.body).event_type),
    ['TRANSACTION.SUCCESS', 'REFUND.SUCCESS']
  )
  t.equal((await notify('T00002')).status, 204, 'it comes again')
})

test('a notice that cannot be stored is answered with FAIL', async (t) => {
  const store = createMemoryStore({ clock: systemClock, log: quietLog() })
  let isBroken = false
  const queue = {
    ...store.queue,
    enqueue: (...args: Parameters<typeof store.queue.enqueue>) =>
      isBroken ? Promise.reject(new StoreError('down')) : store.queue.enqueue(...args)
  }
  const { order, notify, upstream } = await build(t, {}, { store: { ...store, queue } })
  await order('T00001')
  isBroken = true
  const { status, body } = await notify('T00001')
  t.equal(status, 503)
  t.same(Object.keys(JSON.parse(body)), ['code', 'message'])
  t.match(JSON.parse(body), { code: 'FAIL' })
  isBroken = false
  t.equal((await notify('T00001')).status, 204)
  t.equal(upstream.seen.length, 1)
})

test('the public key of WeChat Pay needs no certificate', async (t) => {
  const sandbox = createSandbox({ clock: systemClock })
  const { url } = await sandbox.listen(0, '127.0.0.1')
  t.teardown(() => sandbox.close())
  sandbox.state.pay.merchants.register({
    mchid: MCHID,
    serialNo: SERIAL,
    publicKey: RSA.publicKey,
    apiV3Key: API_V3_KEY
  })
  const { id: serial, key } = sandbox.state.pay.platform.publicKey()
  const platformKeys = [{ serial, publicKey: key.export({ type: 'spki', format: 'pem' }) }]
  const wechat = { apiBase: url, payBase: url, timeout: '60s' }
  const { order, notify, calls, upstream, control } = await build(t, { platformKeys }, { sandbox, config: { wechat } })
  t.equal((await order('T00001')).status, 200)
  t.match(await control('notices', { out_trade_no: 'T00001', key: 'public' }), { answer: { status: 204 } })
  t.equal(calls('/v3/certificates'), 0)
  t.equal((await notify('T00001')).status, 204, 'a certificate counts too, while the merchant changes to the key')
  t.equal(calls('/v3/certificates'), 1)
  t.equal(upstream.seen.length, 1)
})

test('a new platform certificate is fetched when it first signs, and its notices count', async (t) => {
  const clock = { ...systemClock, monotonic: () => performance.now() + skip }
  let skip = 0
  const { order, notify, control, calls, upstream } = await build(t, {}, { clock })
  await order('T00001')
  t.equal(calls('/v3/certificates'), 1)
  await control('platform', { action: 'rotate' })
  t.equal((await notify('T00001')).status, 401, 'within the pause after the last fetch')
  skip += 31_000
  const both = await Promise.all([notify('T00001'), notify('T00001')])
  t.same(
    both.map(({ status }) => status),
    [204, 204]
  )
  t.equal(calls('/v3/certificates'), 2, 'one fetch for both')
  t.equal(upstream.seen.length, 1)
  skip += 11 * 3_600_000
  await order('T00002')
  await until(async () => calls('/v3/certificates') === 3)
})

test('a merchant whose keys the pay API refuses gets an error that tells what to check', async (t) => {
  const other = generateMerchant(MCHID)
  const { pay, gateway } = await build(t, { apiV3Key: 'x'.repeat(32) })
  gateway.sandbox.state.pay.merchants.register({ ...other, serialNo: SERIAL })
  const body = { appid: APPID, method: 'GET', path: '/v3/x' }
  const refused = await pay('request', body)
  t.equal(refused.status, 502)
  t.match(await refused.json(), { code: 'wechat_misconfigured', detail: /SIGN_ERROR.*serialNo and privateKey/ })
})

test('a reload with another key signs with it', async (t) => {
  const { gateway, order } = await build(t)
  await order('T00001')
  const { privateKey, ...merchant } = generateMerchant(MCHID)
  gateway.sandbox.state.pay.merchants.register({ ...merchant, apiV3Key: API_V3_KEY })
  t.equal((await order('T00002')).status, 401, 'the former key')
  const pay = { ...payConfig(RSA), privateKey, serialNo: merchant.serialNo }
  const apps = [{ appid: APPID, secret: APP_SECRET, pay }]
  const upstreams = gateway.config.upstreams.map(({ targets }) => ({ app: { targets: [{ url: targets[0]?.url }] } }))[0]
  const next = readTestConfig({ ...defaultConfig('http://127.0.0.1:9'), upstreams, apps })
  await gateway.gateway.reload({ ...gateway.config, apps: next.apps })
  t.equal((await order('T00002')).status, 200)
})

test('no key of the merchant is in an answer, a log line or a metric', async (t) => {
  const { gateway, order, notify, pay, control } = await build(t, { apiKey: API_V2_KEY })
  await order('T00001')
  for (const fault of ['wrong-signature', 'undecryptable', 'other-app']) await notify('T00001', { fault })
  await control('answers', { fault: 'wrong-signature' })
  const answers = [
    await (await order('T00001')).text(),
    await (await pay('params', { appid: APPID, prepay_id: 'wx1', sign_type: 'MD5' })).text(),
    await (await pay('request', { appid: APPID, method: 'GET', path: '/v3/x' })).text(),
    (await notify('T00001')).body,
    await (await gateway.service('/metrics')).text()
  ]
  const all = [...answers, ...gateway.lines, JSON.stringify(gateway.sandbox.state.calls.list())].join('\n')
  const [, line = ''] = RSA.privateKey.split('\n')
  for (const secret of [API_V3_KEY, API_V2_KEY, line, 'PRIVATE KEY', 'WECHATPAY2-SHA256-RSA2048 mchid']) {
    t.notOk(all.includes(secret), secret.slice(0, 12))
  }
})
