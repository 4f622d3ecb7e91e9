/** Checks that an answered login survives `kill -9`: `node bench/kill9.ts [kills] [minutes]
 *  [setting…]` kills the gateway, and in some settings Redis in every other round, at random
 *  moments: by default 200 times, for ten minutes at most each. Prints the lost logins. Settings
 *  are numbers from 1; the default is all. */
import { launchRedis } from '../test/support/redis.ts'
import { type SurvivalReport, surviveKills } from '../test/support/survival.ts'

const kills = Number(process.argv[2] ?? 200)
const limit = Number(process.argv[3] ?? 10) * 60_000
const chosen = process.argv.slice(4).map(Number)
const print = (line: string) => process.stdout.write(`${line}\n`)

const settings = [
  { store: 'sqlite', killed: 'gateway', fsync: null },
  { store: 'redis, appendfsync everysec', killed: 'gateway', fsync: 'everysec' },
  { store: 'redis, appendfsync always', killed: 'gateway and Redis in turns', fsync: 'always' },
  { store: 'redis, appendfsync everysec', killed: 'gateway and Redis in turns', fsync: 'everysec' }
]

async function measure({ killed, fsync }: (typeof settings)[number]): Promise<SurvivalReport> {
  if (fsync === null) return surviveKills({ kills, redis: null, limit })
  const server = await launchRedis('--appendonly', 'yes', '--appendfsync', fsync)
  try {
    return await surviveKills({ kills, redis: { server, isKilled: killed !== 'gateway' }, limit })
  } finally {
    await server.remove()
  }
}

print('| store | killed | kills | logins | refreshes | logouts | unanswered | lost | took |')
print('|---|---|---|---|---|---|---|---|---|')
for (const [index, setting] of settings.entries()) {
  if (chosen.length > 0 && !chosen.includes(index + 1)) continue
  const started = performance.now()
  const { kills: done, logins, refreshes, logouts, unanswered, lost } = await measure(setting)
  const seconds = Math.round((performance.now() - started) / 1000)
  const figures = [done, logins, refreshes, logouts, unanswered, lost.length, `${seconds} s`]
  print(`| ${[setting.store, setting.killed, ...figures].join(' | ')} |`)
  for (const sentence of lost.slice(0, 10)) print(`  ${sentence}`)
}
