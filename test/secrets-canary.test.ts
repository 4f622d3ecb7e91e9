/** No credential leaves the gateway (W05, W06): responses, logs at any level and format,
 *  metrics, thrown errors, the store and the upstream, with and without failures. */
import { inspect } from 'node:util'
import { type Test, test } from 'tap'
import { systemClock } from '../src/clock.ts'
import { ApiError, StoreError } from '../src/errors.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import { type Collector, startCollector } from './support/collector.ts'
import { APP_SECRET, APPID, buildTestGateway, SECRET, SERVICE_TOKEN, type TestGateway } from './support/gateway.ts'
import { enter, type Interception, watchCalls } from './support/instances.ts'
import { quietLog } from './support/store.ts'
import { startUpstream } from './support/upstream.ts'

const FAULTS = ['errcode--1', 'errcode-40029', 'errcode-40163', 'errcode-40226', 'errcode-45011', 'errcode-40125']
  .concat(['errcode-40013', 'status-500', 'status-302', 'html', 'empty', 'huge', 'array', 'reset', 'truncated'])
  .concat(['garbage', 'no-openid', 'bad-openid', 'two-openids', 'no-session-key', 'bad-session-key', 'hang'])

const COLLECTOR_TOKEN = 'canary-collector-token-0123456789'

/** The secrets, and everything that was seen. */
interface Watch {
  readonly gateway: TestGateway
  /** Secrets with their kind, for the message of a failure. */
  readonly secrets: Map<string, string>
  readonly responses: string[]
  readonly collector: Collector
  readonly storeCalls: string[]
  readonly interception: Interception
  send(path: string, init?: RequestInit & { token?: string; isService?: boolean }): Promise<Record<string, unknown>>
}

async function watch(t: Test, logging: object): Promise<Watch & { upstream: { seen: readonly unknown[] } }> {
  const upstream = await startUpstream(t, (req, res) => {
    if (req.url?.startsWith('/api/reset')) req.socket.destroy()
    else if (req.url?.startsWith('/api/garbage')) req.socket.end('HTTP/1.1 999 \r\n\u0000\r\n\r\n')
    else res.writeHead(200, { 'x-openid': 'leak' }).end('{}')
  })
  const collector = await startCollector(t)
  const storeCalls: string[] = []
  const secrets = new Map([
    ['AppSecret', APP_SECRET],
    ['secret of wxgate', SECRET],
    ['service token', SERVICE_TOKEN],
    ['token of the collector', COLLECTOR_TOKEN]
  ])
  const interception: Interception = { before: null }
  const memory = createMemoryStore({ clock: systemClock, log: quietLog() })
  const recording = Object.fromEntries(
    Object.entries(memory).map(([name, member]) => [
      name,
      typeof member !== 'function'
        ? member
        : (...args: unknown[]) => {
            storeCalls.push(JSON.stringify(args))
            return (member as (...args: unknown[]) => unknown)(...args)
          }
    ])
  ) as unknown as typeof memory
  const { store } = watchCalls(recording, interception)
  const gateway = await buildTestGateway(t, upstream.url, {
    store,
    config: {
      logging,
      telemetry: {
        otlp: {
          endpoint: collector.url,
          headers: { Authorization: `Bearer ${COLLECTOR_TOKEN}` },
          sample: '100%',
          logs: true
        }
      },
      wechat: { apiBase: 'sandbox', timeout: '150ms' },
      upstreams: { app: { targets: [{ url: upstream.url }] }, dead: { targets: [{ url: 'http://127.0.0.1:9' }] } },
      routes: [
        { path: '/api', upstream: 'app' },
        { path: '/maybe', upstream: 'app', auth: 'optional' },
        { path: '/public', upstream: 'app', auth: 'public' },
        { path: '/dead', upstream: 'dead' }
      ]
    }
  })
  const responses: string[] = []

  async function send(path: string, init: RequestInit & { token?: string; isService?: boolean } = {}) {
    const { isService, ...rest } = init
    const response = await (isService ? gateway.service : gateway.call)(path, rest)
    const text = await response.text()
    let json: Record<string, unknown> = {}
    try {
      json = JSON.parse(text) as Record<string, unknown>
    } catch {}
    let shown = text
    // The only answers that hold them for a client.
    if (response.status === 200 && /^\/auth\/(login|refresh)/.test(path)) {
      for (const name of ['access_token', 'refresh_token']) {
        const value = String(json[name])
        secrets.set(`${name} ${secrets.size}`, value)
        shown = shown.replace(value, '')
      }
    }
    responses.push(`${path.split('?', 1)[0]} ${response.status} ${JSON.stringify([...response.headers])} ${shown}`)
    return json
  }
  return { gateway, secrets, responses, collector, storeCalls, interception, send, upstream }
}

const json = (body: unknown) => ({ method: 'POST', body: JSON.stringify(body) })
const service = { isService: true, token: SERVICE_TOKEN }

function noteSessionKeys({ gateway, secrets }: Watch): void {
  const { people } = gateway.sandbox.state
  for (const name of ['alice', 'bob', 'fault']) {
    const { current, previous } = people.sessionKeys(APPID, people.person(APPID, name).openId)
    for (const key of [current, previous]) if (key) secrets.set(`session_key ${key.slice(0, 4)}`, key)
  }
}

function noteWeChatToken({ gateway, secrets }: Watch): void {
  const { access_token: token } = gateway.sandbox.state.accessTokens.stable(APPID, false)
  secrets.set(`WeChat's access_token ${secrets.size}`, token)
}

/** All calls of a client, a backend and an operator, right and wrong. */
async function callEverything(all: Watch, token: string, refreshToken: string): Promise<void> {
  const { gateway, send } = all
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const user = { appid: APPID, openid: openId }
  const sealed = { encryptedData: Buffer.alloc(48).toString('base64'), iv: Buffer.alloc(16).toString('base64') }
  const wrong = [
    `${token}x`,
    refreshToken,
    SERVICE_TOKEN,
    APP_SECRET,
    `${token} ${token}`,
    `x${token}`,
    token.slice(0, -5)
  ]
  for (const bad of wrong) {
    await send('/api', { token: bad })
    await send('/auth/session', { token: bad })
    await send('/auth/refresh', json({ refresh_token: bad }))
    await send('/auth/login', json({ code: bad }))
    await send('/auth/login', json({ code: 'x y', appid: bad, [bad.slice(0, 30)]: 1 }))
    await send('/auth/login', { method: 'POST', body: `{"code":"${bad}` })
    await send('/v1/sign', { ...json(user), isService: true, token: bad })
    await send(`/public?access_token=${bad}`)
    await send('/api', { headers: { cookie: `t=${bad}` } })
  }
  await send('/api', { headers: { authorization: `Basic ${Buffer.from(`x:${APP_SECRET}`).toString('base64')}` } })
  for (const path of ['/api/x', '/api/reset', '/api/garbage', '/dead/x', '/maybe', '/nowhere'])
    await send(path, { token })
  await send('/auth/session?check=true', { token })
  await send('/auth/open-data', { ...json(sealed), token })
  await send('/auth/open-data', { ...json({ rawData: '{}', signature: 'a'.repeat(40) }), token })
  await send('/auth/phone', { ...json({ code: 'sandbox-phone-alice' }), token })
  await send('/auth/phone', { ...json({ code: 'sandbox-phone-errcode-40029' }), token })
  for (const path of ['/livez', '/readyz?verbose', '/.well-known/jwks.json', '/auth', '/wechat/x']) await send(path)
  for (const path of ['/v1/open-data', '/v1/sign', '/v1/check-session', '/v1/reset-session'])
    await send(path, { ...json({ ...user, ...(path === '/v1/open-data' ? sealed : {}), body: '{}' }), ...service })
  await send(`/v1/users/${APPID}/${openId}`, service)
  await send('/auth/verify', { isService: true, token })
  for (const path of ['/wxa/msg_sec_check', '/cgi-bin/token', '/sns/jscode2session', '/wxa/getwxacodeunlimit'])
    await send(`/wxapi/${APPID}${path}`, { ...json({ content: 'x' }), ...service })
  await send('/metrics', { isService: true })
  await gateway.raw(`GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nBad Header ${token}\r\n\r\n`)
  await gateway.raw(`GET /${token} HTTP/9.9\r\n\r\n`)
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='
  for (const bearer of [token, `${token}x`])
    all.responses.push(
      await gateway.raw(`GET /api HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${bearer}\r\n${upgrade}\r\n\r\n`)
    )
  await send('/auth/refresh', json({ refresh_token: refreshToken }))
  await send('/auth/logout', { method: 'POST', token })
}

const loggings = [
  { level: 'trace', access: true, format: 'json' },
  { level: 'trace', access: true, format: 'pretty' },
  { level: 'debug', access: true, format: 'combined' }
]

for (const logging of loggings) {
  test(`no credential in any output, with ${logging.level} and ${logging.format} logs`, async (t) => {
    const all = await watch(t, logging)
    const { gateway, secrets, responses, storeCalls, interception, send } = all
    const { faults } = gateway.sandbox.state
    const login = async () => {
      const { access_token: token, refresh_token: refreshToken } = await send(
        '/auth/login',
        json({ code: `sandbox-alice-${Math.random().toString(36).slice(2)}` })
      )
      noteSessionKeys(all)
      return [String(token), String(refreshToken)] as const
    }

    for (const fault of FAULTS) {
      await send('/auth/login', json({ code: `sandbox-${fault}` }))
      noteSessionKeys(all)
    }
    noteWeChatToken(all)
    await callEverything(all, ...(await login()))

    // WeChat fails every call with an access token.
    for (const kind of ['html', 'garbage', 'reset'] as const) {
      const [token] = await login()
      const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
      for (const path of [
        '/wxa/checksession',
        '/wxa/resetusersessionkey',
        '/wxa/business/getuserphonenumber',
        '/wxa/msg_sec_check'
      ])
        faults.add({ path, fault: { kind }, appId: null, times: 1, skip: 0, after: false })
      await send('/auth/session?check=true', { token })
      await send('/auth/phone', { ...json({ code: 'sandbox-phone-alice' }), token })
      await send('/v1/reset-session', { ...json({ appid: APPID, openid: openId }), ...service })
      await send(`/wxapi/${APPID}/wxa/msg_sec_check`, { ...json({}), ...service })
      faults.clear()
    }
    gateway.sandbox.state.accessTokens.clear()
    await send(`/wxapi/${APPID}/wxa/msg_sec_check`, { ...json({}), ...service })
    noteWeChatToken(all)

    // The store fails with its own errors, and with foreign ones whose message holds all arguments.
    for (const isForeign of [false, true]) {
      const pair = await login()
      interception.before = (operation, key) => {
        if (operation === 'readFeed') return
        if (!isForeign) throw new StoreError('the store is away')
        const cause = new Error(`cause ${[...secrets.values()].join(' ')}`)
        throw new Error(`${operation} ${key} ${[...secrets.values()].join(' ')}`, { cause })
      }
      await send('/auth/login', json({ code: 'sandbox-bob-x' }))
      await callEverything(all, ...pair)
      interception.before = null
    }

    await gateway.otlp?.flush()
    const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
    const exported = all.collector.requests.map(({ url, body }) => `${url} ${body}`)
    t.notOk(
      exported.some((text) => text.includes(openId)),
      'no openid in traces, metrics and log lines'
    )
    for (const path of ['traces', 'metrics', 'logs']) t.ok(exported.some((text) => text.startsWith(`/v1/${path}`)))
    t.ok(secrets.size > 15, `${secrets.size} secrets`)
    t.ok([...secrets.keys()].some((name) => name.startsWith('session_key')))
    t.ok([...secrets.values()].every((secret) => secret.length >= 16))
    t.ok(gateway.lines.length > 100 && responses.length > 200)
    const places: Record<string, string> = {
      log: gateway.lines.join('\n'),
      responses: responses.join('\n'),
      store: storeCalls.join('\n'),
      collector: exported.join('\n'),
      upstream: JSON.stringify(all.upstream.seen.map((seen) => ({ ...(seen as object), url: '' })))
    }
    for (const [place, text] of Object.entries(places)) {
      const decoded = decodeURIComponent(
        text
          .replaceAll('%', '%25')
          .replaceAll(/%25([0-9A-Fa-f]{2})/g, (_, hex: string) => (Number.parseInt(hex, 16) < 0x80 ? `%${hex}` : ''))
      )
      for (const [name, secret] of secrets) {
        // A token that a client puts into a URL is not logged either.
        if (text.includes(secret) || decoded.includes(secret)) t.fail(`${name} in ${place}: ${around(text, secret)}`)
        const basic = Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(4, -4)
        if (text.includes(basic)) t.fail(`${name} in base64 in ${place}`)
      }
    }
    t.pass('looked everywhere')
  })
}

function around(text: string, secret: string): string {
  const at = text.indexOf(secret)
  return text.slice(Math.max(0, at - 120), at).concat('***', text.slice(at + secret.length, at + secret.length + 60))
}

test('no credential is in a thrown error, at any depth', async (t) => {
  const all = await watch(t, { level: 'silent' })
  const { gateway, interception, secrets } = all
  const { parts } = gateway.gateway
  const [app] = gateway.config.apps
  if (!app) return
  await enter(gateway, 'alice')
  noteSessionKeys(all)
  noteWeChatToken(all)
  const { openId } = gateway.sandbox.state.people.person(APPID, 'alice')
  const key = (await parts.sessionKeys.current(APPID, openId)) ?? ''
  const platform = parts.platforms.of(APPID)
  const errors: unknown[] = []
  const attempt = (work: () => unknown) =>
    Promise.resolve()
      .then(work)
      .catch((error: unknown) => errors.push(error))

  for (const fault of FAULTS) await attempt(() => platform.login(app, `sandbox-${fault}`))
  for (const kind of ['html', 'reset', 'garbage', 'truncated', 'hang'] as const) {
    gateway.sandbox.state.faults.add({ path: '*', fault: { kind }, appId: null, times: 3, skip: 0, after: false })
    await attempt(() => platform.sessionKeys?.check(app, openId, key))
    await attempt(() => platform.sessionKeys?.reset(app, openId, key))
    await attempt(() => platform.phone?.exchange(app, openId, 'sandbox-phone-alice'))
    gateway.sandbox.state.faults.clear()
  }
  interception.before = () => {
    throw new StoreError('away')
  }
  await attempt(() => parts.sessionKeys.save(APPID, openId, key, 0))
  await attempt(() => parts.sessionKeys.replace(APPID, openId, key, key))
  await attempt(() => parts.sessionKeys.current(APPID, openId))
  await attempt(() => parts.users.recordLogin(APPID, openId, null))
  const verdicts = [SECRET, APP_SECRET, 'x.y.z'].map((text) => parts.accessTokens.verify(`Bearer ${text}`))
  errors.push(...verdicts.filter((verdict) => verdict instanceof ApiError))
  t.ok(errors.length > 30, `${errors.length} errors`)
  const text = errors.map((error) => inspect(error, { depth: 10, showHidden: true })).join('\n')
  for (const [name, secret] of secrets) if (text.includes(secret)) t.fail(`${name}: ${around(text, secret)}`)
})
