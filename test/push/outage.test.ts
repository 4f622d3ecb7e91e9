/** An event that was answered reaches the backend, whatever happens in between. bench/push.ts does
 *  the same for a minute with ten thousand events. */
import { type Test, t as tap, test } from 'tap'
import { type OutageOptions, surviveOutage } from '../support/push-outage.ts'
import { startRedis } from '../support/redis.ts'

tap.jobs = 2

const RULE = 'an outage of the backend and kill -9 of one of two gateways lose no event, and the order per user holds'

async function check(t: Test, options: Pick<OutageOptions, 'store'>): Promise<void> {
  const report = await surviveOutage({ events: 300, users: 20, instances: 2, outageMs: 0, ...options })
  t.equal(report.acknowledged, 300)
  t.same(report.lost, [])
  t.same(report.outOfOrder, [])
  t.equal(report.atOnce, 1, 'no event of a user is delivered beside another')
  t.ok(report.delivered >= 300, `${report.delivered} calls`)
}

test(`sqlite: ${RULE}`, { buffered: true }, (t) => check(t, { store: 'sqlite:./push.db' }))

test(`redis: ${RULE}`, { buffered: true }, async (t) => {
  const server = await startRedis(t)
  if (server) await check(t, { store: server.url })
})
