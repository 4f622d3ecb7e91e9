/** The gateway's own small calls. */
import { lookup } from 'node:dns'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { callUpstream } from '../../src/upstream/call.ts'
import { createMembers } from '../../src/upstream/members.ts'
import { createPools } from '../../src/upstream/pools.ts'
import { createUpstreams } from '../../src/upstream/upstreams.ts'
import { createFakeClock } from '../support/clock.ts'
import { defaultConfig, readTestConfig } from '../support/gateway.ts'
import type { Teardown } from '../support/listen.ts'
import { freePort } from '../support/process.ts'
import { NO_LOG } from '../support/targets.ts'
import { startUpstream } from '../support/upstream.ts'

function setup(t: Teardown, ...urls: string[]) {
  const clock = createFakeClock()
  const pools = createPools({ lookup, clock: systemClock })
  const members = createMembers({ clock, log: NO_LOG })
  t.teardown(() => pools.close())
  const config = {
    ...defaultConfig('http://127.0.0.1:11'),
    upstreams: { app: { targets: urls.map((url) => ({ url })) } }
  }
  const upstream = createUpstreams(readTestConfig(config).upstreams, { pools, members, clock }).get('app')
  const call = (path: string) =>
    callUpstream(upstream, clock, { path, headers: {}, json: '{"a":1}', key: null, timeoutMs: 1_000, maxBytes: 64 })
  return { clock, upstream, call }
}

test('JSON goes out and JSON comes back, whatever the status', async (t) => {
  const server = await startUpstream(t, (req, res) => {
    const answers: Record<string, [number, string]> = {
      '/json': [200, '{"b":[2]}'],
      '/refused': [403, '{"detail":"no"}'],
      '/empty': [200, ' \n'],
      '/text': [200, 'hello']
    }
    const [status, body] = answers[req.url ?? ''] ?? [404, '']
    res.writeHead(status).end(body)
  })
  const { call, upstream } = setup(t, server.url)
  t.has(await call('/json'), { status: 200, json: { b: [2] } })
  t.has(await call('/refused'), { status: 403, json: { detail: 'no' } })
  t.has(await call('/empty'), { status: 200, json: undefined })
  t.has(await call('/text'), { status: 200, json: null })
  t.match(server.seen[0], { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } })
  t.equal(upstream.targets[0]?.inFlight, 0)
})

test('an answer that is too large is a failure', async (t) => {
  const server = await startUpstream(t, (_req, res) => void res.end('"'.padEnd(100, 'x')))
  const { call, upstream } = setup(t, server.url)
  await t.rejects(call('/'), { message: 'the answer is too large', status: 200 })
  t.equal(upstream.targets[0]?.inFlight, 0)
})

test('the deadline covers the whole call', async (t) => {
  let isAsked = () => {}
  const asked = new Promise<void>((resolve) => {
    isAsked = resolve
  })
  const server = await startUpstream(t, () => isAsked())
  const { call, clock, upstream } = setup(t, server.url)
  const answer = call('/')
  await asked
  clock.advance(999)
  t.equal(clock.pending, 1)
  clock.advance(1)
  await t.rejects(answer, { name: 'CallFailure', reason: 'timeout', target: upstream.targets[0]?.host })
  t.equal(upstream.targets[0]?.inFlight, 0)
})

test('a connection that fails is tried at the next target; a call that was sent is not', async (t) => {
  const dead = `http://127.0.0.1:${await freePort()}`
  const server = await startUpstream(t, (req, res) => {
    if (req.url === '/reset') req.socket.destroy()
    else res.end('{}')
  })
  const { call } = setup(t, dead, server.url)
  for (let count = 0; count < 3; count++) t.has(await call('/'), { status: 200, json: {} })
  await t.rejects(call('/reset'), { name: 'CallFailure' })
  t.equal(server.seen.filter(({ url }) => url === '/reset').length, 1)
  await t.rejects(setup(t, dead).call('/'), { message: 'ECONNREFUSED' })
})
