/** Quotas of WeChat's API: POST /v1/apps/{appid}/quotas, and the paths of GET /v1/status. */
import { test } from 'tap'
import { createQuotas } from '../../src/platforms/wechat/quotas.ts'
import type { StatusAnswer } from '../../src/service/status/status.ts'
import { createTestClock } from '../support/clock.ts'
import { APPID, buildTestGateway, SERVICE_TOKEN } from '../support/gateway.ts'
import { startServer } from '../support/listen.ts'

const CHECK = '/wxa/msg_sec_check'
const QUOTA = '/cgi-bin/openapi/quota/get'
const NARROWED = 'one-app-token-0123456789'
const SHOP = { appId: APPID, secret: 'x' }

interface Quotas {
  readonly quotas: readonly {
    readonly path: string
    readonly quota: {
      readonly daily: { readonly limit: number; readonly used: number; readonly remain: number } | null
      readonly errcode: number | null
      readonly failure: { readonly code: string } | null
    }
  }[]
}

test('the quotas of the paths that an app called are read from WeChat, at most once a minute', async (t) => {
  const clock = createTestClock()
  const upstream = await startServer(t, (_req, res) => res.end())
  const tokens = [
    { name: 'test', token: SERVICE_TOKEN, scopes: ['wxapi', 'admin'] },
    { name: 'shop', token: NARROWED, scopes: ['admin'], apps: ['wxother'] }
  ]
  const apps = [APPID, 'wxother'].map((appid) => ({ appid, secret: 'x' }))
  const gateway = await buildTestGateway(t, upstream, {
    clock,
    config: { apps, service: { host: '127.0.0.1', port: 2, tokens } }
  })
  const ask = (paths: readonly string[], token = SERVICE_TOKEN) =>
    gateway.service(`/v1/apps/${APPID}/quotas`, {
      token,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ paths })
    })
  const read = async (...paths: string[]) => (await (await ask(paths)).json()) as Quotas
  const pathsOf = async () => {
    const status = await (await gateway.service('/v1/status', { token: SERVICE_TOKEN })).json()
    return (status as StatusAnswer).apps.map(({ paths }) => paths)
  }
  const asked = () => gateway.sandbox.state.calls.list(QUOTA).length

  t.same(await pathsOf(), [[], []])
  for (let count = 0; count < 3; count++) {
    await gateway.service(`/wxapi/${APPID}${CHECK}?x=1`, { token: SERVICE_TOKEN, method: 'POST', body: '{}' })
  }
  t.same(await pathsOf(), [[{ path: CHECK, calls: 3, quota: null }], []])

  const [first] = (await read(CHECK)).quotas
  t.match(first, { path: CHECK, quota: { daily: { used: 3 }, rate_limit: null, errcode: null, failure: null } })
  const daily = first?.quota.daily
  t.equal(daily?.remain, (daily?.limit ?? 0) - 3)
  await gateway.service(`/wxapi/${APPID}${CHECK}`, { token: SERVICE_TOKEN, method: 'POST', body: '{}' })
  t.equal((await read(CHECK)).quotas[0]?.quota.daily?.used, 3, 'within the minute the answer stays')
  t.equal(asked(), 1)
  clock.advance(60_000)
  t.equal((await read(CHECK)).quotas[0]?.quota.daily?.used, 4)
  t.equal(asked(), 2)
  t.match(await pathsOf(), [
    [
      { path: QUOTA, calls: 2 },
      { path: CHECK, calls: 4, quota: { daily: { used: 4 } } }
    ],
    []
  ])

  await t.test('a path that WeChat gives no quota for has its errcode', async (t) => {
    const { quotas } = await read('/sns/jscode2session', CHECK)
    t.match(quotas, [{ quota: { daily: null, errcode: 76022 } }, { quota: { daily: { used: 4 } } }])
  })

  await t.test('without an answer of WeChat no further path is asked about', async (t) => {
    gateway.sandbox.state.faults.add({
      ...{ path: QUOTA, appId: null, skip: 0, times: 1, after: false },
      fault: { kind: 'html' }
    })
    const { quotas } = await read('/wxa/one', '/wxa/two')
    t.match(quotas, [{ path: '/wxa/one', quota: { daily: null, failure: { code: 'wechat_unavailable' } } }])
    clock.advance(5_000)
    t.match((await read('/wxa/one')).quotas, [{ quota: { daily: { used: 0 }, failure: null } }])
  })

  await t.test('at most 60 questions are asked in a minute', async (t) => {
    clock.advance(60_000)
    const many = (from: number) => Array.from({ length: 50 }, (_, index) => `/wxa/many${from + index}`)
    t.equal((await ask(many(0))).status, 200)
    const before = asked()
    const refused = await ask(many(50))
    t.equal(refused.status, 429)
    t.match(await refused.json(), { code: 'rate_limited' })
    t.equal(asked() - before, 10)
  })

  await t.test('bad paths and other apps are refused', async (t) => {
    for (const paths of [[], ['no-slash'], ['/a?b=c'], Array.from({ length: 51 }, () => '/a')])
      t.equal((await ask(paths)).status, 400)
    t.equal((await ask([CHECK], NARROWED)).status, 403)
  })

  const token = gateway.sandbox.state.accessTokens.stable(APPID, false).access_token
  const texts = [...gateway.lines, JSON.stringify(await read(CHECK)), JSON.stringify(await pathsOf())]
  t.notOk(
    texts.some((text) => text.includes(token)),
    'the access_token is never shown'
  )
})

test('a rate limit is read where WeChat reports one, and half an answer is none', async (t) => {
  const clock = createTestClock()
  const daily = { daily_limit: 10, used: 4, remain: 6 }
  const answers: Record<string, unknown>[] = [
    { errcode: 0, quota: daily, rate_limit: { call_count: 4000, refresh_second: 60 } },
    { errcode: 0, quota: { ...daily, used: '4' } },
    { errcode: 0 },
    { errcode: '76021' },
    { errcode: {} }
  ]
  const quotas = createQuotas({ clock, ask: async () => answers.shift() ?? {} })
  const none = { daily: null, rate: null, errcode: null }
  t.same(await quotas.read(SHOP, '/1'), {
    readAt: clock.now(),
    daily: { limit: 10, used: 4, remain: 6 },
    rate: { max: 4000, windowMs: 60_000 },
    errcode: null,
    failure: null
  })
  t.match(await quotas.read(SHOP, '/2'), { ...none, failure: { code: 'wechat_unavailable' } })
  t.match(await quotas.read(SHOP, '/3'), { ...none, failure: { code: 'wechat_unavailable' } })
  t.match(await quotas.read(SHOP, '/4'), { ...none, errcode: 76021, failure: null })
  t.match(await quotas.read(SHOP, '/5'), { ...none, failure: { code: 'wechat_unavailable' } })
})

test('the list of paths is bounded, and keeps those with the most calls', (t) => {
  const quotas = createQuotas({ clock: createTestClock(), ask: async () => ({}) })
  for (let count = 0; count < 3; count++) quotas.called(APPID, '/wxa/often')
  for (let index = 0; index < 1_000; index++) quotas.called(APPID, `/made/up/${index}`)
  quotas.called(APPID, `/${'x'.repeat(200)}`)
  const paths = quotas.paths(APPID)
  t.equal(paths.length, 50)
  t.match(
    paths.find(({ path }) => path === '/wxa/often'),
    { calls: 3 }
  )
  t.end()
})
