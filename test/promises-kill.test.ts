/** An answered login survives kill -9. bench/kill9.ts does the same two hundred times. */
import { t as tap, test } from 'tap'
import { startRedis } from './support/redis.ts'
import { surviveKills } from './support/survival.ts'

tap.jobs = 2

test('sqlite: answered logins survive kill -9', { buffered: true }, async (t) => {
  const report = await surviveKills({ kills: 1, redis: null })
  t.equal(report.kills, 1)
  t.ok(report.logins > 10, `${report.logins} logins`)
  t.ok(report.refreshes > 0 && report.logouts > 0)
  t.same(report.lost, [])
})

test('redis: answered logins survive kill -9 of the gateway or of Redis', {
  buffered: true
}, async (t) => {
  const server = await startRedis(t, '--appendonly', 'yes', '--appendfsync', 'always')
  if (!server) return
  const report = await surviveKills({ kills: 2, redis: { server, isKilled: true } })
  t.equal(report.kills, 2)
  t.ok(report.logins > 10, `${report.logins} logins`)
  t.same(report.lost, [])
})
