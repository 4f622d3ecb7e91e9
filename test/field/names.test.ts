/** Names of upstreams and of WeChat. */
import { join } from 'node:path'
import { test } from 'tap'
import { systemClock } from '../../src/clock.ts'
import { createLookup } from '../../src/upstream/resolver.ts'
import { buildTestGateway } from '../support/gateway.ts'
import { startNameServer } from '../support/name-server.ts'
import { startUpstream } from '../support/upstream.ts'

test('a name without an answer delays neither the login nor another upstream', async (t) => {
  const server = await startNameServer(t, {
    'dead.test': 'silence',
    'live.test': { addresses: ['127.0.0.1'], ttl: 1 }
  })
  const folder = t.testdir({ hosts: '', 'resolv.conf': '' })
  const files = { hostsFile: join(folder, 'hosts'), resolvFile: join(folder, 'resolv.conf') }
  const lookup = createLookup({ clock: systemClock, servers: [server.address], ...files })
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    lookup,
    config: {
      upstreams: {
        live: { targets: [{ url: `http://live.test:${upstream.port}` }] },
        dead: { targets: [{ url: `http://dead.test:${upstream.port}` }], timeouts: { connect: '3s' } }
      },
      routes: [
        { path: '/live', upstream: 'live', auth: 'public' },
        { path: '/dead', upstream: 'dead', auth: 'public' }
      ]
    }
  })
  const order: string[] = []
  const dead = Promise.all(
    Array.from({ length: 6 }, async () => {
      const { status } = await gateway.call('/dead/x')
      order.push('dead')
      return status
    })
  )
  const login = await gateway.login('alice')
  order.push('login')
  t.equal(login.status, 200)
  for (let count = 0; count < 20; count++) t.equal((await gateway.call('/live/x')).status, 200)
  order.push('live')
  t.same(order.slice(0, 2), ['login', 'live'])
  for (const status of await dead) t.ok(status === 502 || status === 504, String(status))
  t.equal(server.asked.filter((name) => name === 'live.test').length <= 3, true, 'answers are kept')
})
