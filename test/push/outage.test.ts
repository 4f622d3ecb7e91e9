/** An event that was answered reaches the backend, whatever happens in between. bench/push.ts does
 *  the same for a minute with ten thousand events. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, t as tap, test } from 'tap'
import { APP_SECRET, APPID, buildTestGateway } from '../support/gateway.ts'
import { surviveOutage } from '../support/push-outage.ts'
import { startRedis } from '../support/redis.ts'

tap.jobs = 2

const RULE = 'an outage of the backend and kill -9 of one of two gateways lose no event, and the order per user holds'
const EVENTS = 160

async function check(t: Test, store: string): Promise<void> {
  const report = await surviveOutage({
    events: EVENTS,
    users: 20,
    outageMs: 0,
    store,
    async startOther(backendUrl, push) {
      const config = {
        apps: [{ appid: APPID, secret: APP_SECRET, push }],
        logging: { level: 'silent', access: false, format: 'json' }
      }
      return (await buildTestGateway(t, backendUrl, { store, config })).url
    }
  })
  t.equal(report.acknowledged, EVENTS)
  t.same(report.lost, [])
  t.same(report.outOfOrder, [])
  t.equal(report.atOnce, 1, 'no event of a user is delivered beside another')
  t.ok(report.delivered >= EVENTS, `${report.delivered} calls`)
}

test(`sqlite: ${RULE}`, { buffered: true }, (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-outage-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return check(t, `sqlite:${folder}/push.db`)
})

test(`redis: ${RULE}`, { buffered: true }, async (t) => {
  const server = await startRedis(t)
  if (server) await check(t, server.url)
})
