/** Targets outlive the configurations that name them. */
import { lookup } from 'node:dns'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createMembers } from '../../src/upstream/members.ts'
import { createPools } from '../../src/upstream/pools.ts'
import { createUpstreams } from '../../src/upstream/upstreams.ts'
import { createFakeClock } from '../support/clock.ts'
import { defaultConfig, readTestConfig } from '../support/gateway.ts'
import { NO_LOG, NO_TLS, targetConfig } from '../support/targets.ts'

test('targets with equal origin, TLS and connect timeout are one', (t) => {
  const pools = createPools({ lookup, clock: systemClock })
  const target = pools.acquire(targetConfig(1))
  t.equal(pools.acquire({ ...targetConfig(1) }), target)
  t.not(pools.acquire(targetConfig(2)), target)
  t.not(pools.acquire({ ...targetConfig(1), connectTimeoutMs: 5 }), target)
  t.not(pools.acquire({ ...targetConfig(1), tls: { ...NO_TLS, serverName: 'other' } }), target)
  t.end()
})

test('the last release closes the connections, and none before', async (t) => {
  const pools = createPools({ lookup, clock: systemClock })
  const target = pools.acquire(targetConfig(1))
  pools.acquire(targetConfig(1))
  pools.release(target)
  t.equal(target.pool.isClosed, false)
  pools.release(target)
  t.equal(target.pool.isClosed, true)
  pools.release(target)
  t.not(pools.acquire(targetConfig(1)), target)
  pools.close()
})

test('a reload keeps the state of a target that stays, and releases one that does not', async (t) => {
  const pools = createPools({ lookup, clock: systemClock })
  const clock = createFakeClock()
  const members = createMembers({ clock, log: NO_LOG })
  const read = (port: number, response: string) =>
    readTestConfig({
      ...defaultConfig('http://127.0.0.1:11'),
      upstreams: {
        app: { targets: [{ url: 'http://127.0.0.1:11' }], timeouts: { response } },
        other: { targets: [{ url: `http://127.0.0.1:${port}` }] }
      }
    }).upstreams
  const before = createUpstreams(read(12, '30s'), { pools, members, clock })
  const [kept] = before.get('app').targets
  const [gone] = before.get('other').targets
  if (!kept || !gone) throw new Error('both upstreams have a target')
  kept.avoidUntil = 7
  const after = createUpstreams(read(13, '9s'), { pools, members, clock })
  before.release()
  t.same(after.get('app').targets, [kept])
  t.equal(after.get('app').targets[0]?.avoidUntil, 7)
  t.equal(kept.pool.isClosed, false)
  t.equal(gone.pool.isClosed, true)
  pools.close()
  t.equal(kept.pool.isClosed, true)
  t.throws(() => after.get('unknown'), { message: /unknown/ })
})
