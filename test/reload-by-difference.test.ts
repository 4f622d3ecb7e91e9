/** A reload changes only what changed, and an old configuration ends with its last request. */
import type { ServerResponse } from 'node:http'
import { test } from 'tap'
import { createLender } from '../src/gateway/lender.ts'
import { buildTestGateway, defaultConfig, readTestConfig } from './support/gateway.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

test('a part is built again only when something that it depends on has changed', async (t) => {
  const lender = createLender()
  const closed: string[] = []
  const first = lender.open()
  const ring = await first.borrow('ring', [['secret']], () => ({ name: 'ring' }))
  const tokens = await first.borrow(
    'tokens',
    [ring, 10],
    () => ({ name: 'tokens 10' }),
    ({ name }) => void closed.push(name)
  )
  const second = lender.open()
  t.equal(await second.borrow('ring', [['secret']], () => ({ name: 'other' })), ring)
  const others = await second.borrow('tokens', [ring, 20], () => ({ name: 'tokens 20' }))
  t.not(others, tokens)
  await first.release()
  t.same(closed, ['tokens 10'], 'the last user closes a part')
  const third = lender.open()
  t.equal(await third.borrow('tokens', [ring, 20], () => ({ name: 'tokens 30' })), others)
  t.not(await third.borrow('ring', [['another']], () => ({ name: 'ring' })), ring)
})

test('a changed route keeps the tokens and the upstreams of the rest', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const { access_token: token } = await gateway.login('alice')
  t.equal((await gateway.call('/api/x', { token })).status, 200)
  const before = gateway.gateway.parts
  const config = defaultConfig(upstream.url)
  const routes = [...(config.routes as object[]), { path: '/more', upstream: 'app', auth: 'public' }]
  const next = readTestConfig({ ...config, routes })
  await gateway.gateway.reload({ ...next, server: gateway.config.server, service: gateway.config.service })
  const after = gateway.gateway.parts
  t.equal((await gateway.call('/more')).status, 200)
  t.equal(after.accessTokens, before.accessTokens)
  t.equal(after.upstreams, before.upstreams)
  t.equal(after.accessTokens.remembers(`Bearer ${token}`), true)
})

test('a running request ends under the configuration it began with, which ends with it', async (t) => {
  const held: ServerResponse[] = []
  const upstream = await startUpstream(t, (_req, res) => void held.push(res))
  const other = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const answer = gateway.call('/public/x')
  await until(() => held.length === 1)
  const next = readTestConfig(defaultConfig(other.url))
  await gateway.gateway.reload({ ...next, server: gateway.config.server, service: gateway.config.service })
  t.equal((await gateway.call('/public/y')).status, 200)
  t.equal(other.seen.length, 1)
  held[0]?.end('late')
  t.equal(await (await answer).text(), 'late')
})
