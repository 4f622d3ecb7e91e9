/** Whether an answered login survives `kill -9`: `node bench/kill9.ts [kills] [minutes]` kills the gateway (and Redis, in
 *  every other round) at random moments, 200 times unless told, for ten minutes at most each, and prints what was lost. */
import { launchRedis } from '../test/support/redis.ts'
import { type SurvivalReport, surviveKills } from '../test/support/survival.ts'

const kills = Number(process.argv[2] ?? 200)
const limit = Number(process.argv[3] ?? 10) * 60_000
const print = (line: string) => process.stdout.write(`${line}\n`)

function row(store: string, report: SurvivalReport, started: number): void {
  const { logins, refreshes, logouts, unanswered, lost } = report
  const seconds = Math.round((performance.now() - started) / 1000)
  print(`| ${[store, report.kills, logins, refreshes, logouts, unanswered, lost.length, `${seconds} s`].join(' | ')} |`)
  for (const sentence of lost.slice(0, 10)) print(`  ${sentence}`)
}

print('| store | kills | logins | refreshes | logouts | unanswered | lost | took |')
print('|---|---|---|---|---|---|---|---|')
let started = performance.now()
row('sqlite', await surviveKills({ kills, redis: null, limit }), started)

for (const fsync of ['always', 'everysec']) {
  const server = await launchRedis('--appendonly', 'yes', '--appendfsync', fsync)
  started = performance.now()
  try {
    const report = await surviveKills({ kills, redis: { server, isKilled: true }, limit })
    row(`redis, appendonly, ${fsync}`, report, started)
  } finally {
    await server.remove()
  }
}
