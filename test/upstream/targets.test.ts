/** Several targets behind one route: each request goes to the right one, and a dead one costs no
 *  answer. */
import { randomBytes } from 'node:crypto'
import { type Test, test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { buildTestGateway, type TestGateway } from '../support/gateway.ts'
import { startServer } from '../support/listen.ts'
import { freePort } from '../support/process.ts'
import { get, openClient } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

async function startTargets(t: Test, count: number): Promise<{ urls: string[]; hits: number[]; open: number[] }> {
  const hits = Array<number>(count).fill(0)
  const open = Array<number>(count).fill(0)
  const urls: string[] = []
  for (let index = 0; index < count; index++) {
    const url = await startServer(t, (req, res) => {
      hits[index] = (hits[index] ?? 0) + 1
      open[index] = (open[index] ?? 0) + 1
      res.on('close', () => {
        open[index] = (open[index] ?? 0) - 1
      })
      if (req.url?.endsWith('hold')) return
      res.end(String(index))
    })
    urls.push(url)
  }
  return { urls, hits, open }
}

async function withTargets(t: Test, upstream: Record<string, unknown>, clock = systemClock): Promise<TestGateway> {
  return buildTestGateway(t, 'http://127.0.0.1:1', { clock, config: { upstreams: { app: upstream } } })
}

test('targets share the requests by weight', async (t) => {
  const { urls, hits } = await startTargets(t, 3)
  const gateway = await withTargets(t, { targets: urls.map((url, index) => ({ url, weight: index + 1 })) })
  const order: string[] = []
  for (let count = 0; count < 12; count++) order.push(await (await gateway.call('/public/x')).text())
  t.same(hits, [2, 4, 6])
  t.notMatch(order.join(''), /222/, 'smoothly, not in bursts')
})

test('leastRequests picks the target with the fewest running requests for its weight', async (t) => {
  const { urls, open } = await startTargets(t, 2)
  const gateway = await withTargets(t, {
    targets: urls.map((url, index) => ({ url, weight: index + 1 })),
    balance: 'leastRequests'
  })
  const held = await Promise.all(
    Array.from({ length: 6 }, async () => {
      const client = await openClient(t, gateway.port)
      client.send(get('/public/hold'))
      return client
    })
  )
  await until(() => open.reduce((sum, count) => sum + count, 0) === 6)
  t.same(open, [2, 4])
  for (const client of held) client.close()
  await until(() => open.every((count) => count === 0))
  await until(() => gateway.gateway.parts.upstreams.get('app').targets.every((target) => target.inFlight === 0))
})

test('hash keeps a user on one target, and only users of a lost target move', async (t) => {
  const { urls } = await startTargets(t, 3)
  const gateway = await withTargets(t, {
    targets: urls.map((url) => ({ url })),
    balance: 'hash',
    retries: { attempts: 2 }
  })
  const tokens = await Promise.all(
    Array.from({ length: 24 }, async (_, index) => (await gateway.login(`u${index}`)).access_token)
  )
  const ask = async (token: string) => (await gateway.call('/api/x', { token })).text()
  const first = await Promise.all(tokens.map(ask))
  t.same(await Promise.all(tokens.map(ask)), first)
  t.equal(new Set(first).size, 3)
  const [lost] = gateway.gateway.parts.upstreams.get('app').targets
  if (lost) lost.avoidUntil = Number.POSITIVE_INFINITY
  const after = await Promise.all(tokens.map(ask))
  after.forEach((target, index) => {
    if (first[index] === '0') t.not(target, '0')
    else t.equal(target, first[index])
  })
})

test('a target that refuses connections costs no answer, and is avoided for a while', async (t) => {
  const { urls } = await startTargets(t, 1)
  const dead = [await freePort(), await freePort()].map((port) => ({ url: `http://127.0.0.1:${port}` }))
  // The time for which a target is avoided does not pass.
  const clock = { ...systemClock, monotonic: () => 1_000_000 }
  const targets = [...dead, { url: urls[0] }]
  const gateway = await withTargets(t, { targets, retries: { attempts: 2 } }, clock)
  const statuses = await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      const init = index % 2 === 0 ? {} : { method: 'POST', body: 'body' }
      return (await gateway.call('/public/x', init)).status
    })
  )
  t.same(new Set(statuses), new Set([200]))
  t.ok(
    gateway.gateway.parts.upstreams
      .get('app')
      .targets.slice(0, 2)
      .every(({ avoidUntil }) => avoidUntil > clock.monotonic())
  )

  const few = await withTargets(t, { targets, retries: { attempts: 1 } }, clock)
  t.equal((await few.call('/public/x')).status, 502, 'no more tries than configured')
  t.equal((await few.call('/public/x')).status, 200, 'both are now known to be down')
})

test('a body survives the connect retry unchanged', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await withTargets(t, {
    targets: [{ url: `http://127.0.0.1:${await freePort()}`, weight: 1000 }, { url: upstream.url }]
  })
  const body = randomBytes(300_000).toString('hex')
  t.equal((await gateway.call('/public/x', { method: 'POST', body })).status, 200)
  t.equal(upstream.seen[0]?.body, body)
})
