/** Measures the cost of logins and instances in Redis: `node bench/redis.ts [logins]` prints a
 *  Markdown table. One to two minutes for the default of 100,000 logins. Needs redis-server. */
import { cpus } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../src/clock.ts'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { NO_TRACER } from '../src/http/tracer.ts'
import { createRecordKeys } from '../src/identity/record-keys.ts'
import { createRevocations } from '../src/identity/revocations.ts'
import { createSessionKeys } from '../src/identity/session-keys.ts'
import { createSessions } from '../src/identity/sessions.ts'
import { createUsers } from '../src/identity/users.ts'
import { createLogin } from '../src/login/login.ts'
import { createLoginCodes } from '../src/login/login-codes.ts'
import { createRateLimiter } from '../src/routing/rate-limiter.ts'
import { openStore } from '../src/store/open.ts'
import type { Store } from '../src/store/port.ts'
import { askRedis, launchRedis, type RedisServer } from '../test/support/redis.ts'
import { quietLog } from '../test/support/store.ts'

const LOGINS = Number(process.argv[2] ?? 100_000)
const WIDTH = 64
const INSTANCES = 100
const FOLLOW_MS = 10_000
const HOUR = 3_600_000
const DAY = 24 * HOUR
const APP_ID = 'wx0123456789abcdef'
const clock = systemClock

const print = (line: string) => process.stdout.write(`${line}\n`)
const keys = createRecordKeys(() => ({ name: 'wechat', unionScope: 'wechat-open', ownsFormerKeys: true }))
const row = (what: string, figure: string) => print(`| ${what} | ${figure} |`)
const whole = (figure: number) => Math.round(figure).toLocaleString('en')
const open = (server: RedisServer) => openStore(server.url, { clock, log: quietLog(), timeout: 10_000 })

async function fieldOf(server: RedisServer, section: string, field: string): Promise<number> {
  return Number(new RegExp(`${field}:([\\d.]+)`).exec(await askRedis(server.port, `INFO ${section}`))?.[1])
}

/** Seconds. */
async function cpuOf(server: RedisServer): Promise<number> {
  return (await fieldOf(server, 'cpu', 'used_cpu_user')) + (await fieldOf(server, 'cpu', 'used_cpu_sys'))
}

/** Logs in as POST /auth/login does, with an answer of WeChat that takes no time. */
function createLogins(store: Store) {
  const sealer = createSealer(createKeyRing(['a secret of the benchmark, known to everybody']), 'records')
  const users = createUsers({ store, sealer, clock, keys })
  const window = { repeatWindow: 10_000 }
  const sessions = createSessions({ store, clock, refreshTtl: 30 * DAY, refreshMaxTtl: 180 * DAY, ...window })
  const sessionKeys = createSessionKeys({ store, sealer, clock, keys, sessionKeyTtl: 2 * HOUR })
  const grant = {
    access_token: '',
    token_type: 'Bearer',
    expires_in: 0,
    refresh_token: '',
    refresh_expires_in: 0
  } as const
  return (number: number, openId: string, unionId: string | null) =>
    createLogin({
      apps: [{ appId: APP_ID, secret: '' }],
      codes: createLoginCodes({ store, timeoutMs: 5_000, repeatWindowMs: 10_000, onForeignRepeat: () => {} }),
      limiter: createRateLimiter({ store, clock, name: 'login', max: 60, window: 60_000 }),
      limitBy: 'ip',
      exchange: async () => ({ openId, unionId, sessionKey: 'HyVFkGl5F5OQWJZZaNzBBg==' }),
      users,
      sessionKeys,
      sessions,
      revocations: { epochOf: () => 0, hasEnded: () => false },
      hook: null,
      grants: { issue: () => grant },
      clock,
      tracer: NO_TRACER,
      onLinked: () => undefined,
      onExchanged: () => undefined
    }).logIn({
      code: `code-${number}`,
      appId: APP_ID,
      attempt: null,
      clientKey: `10.${number & 255}.${(number >> 8) & 255}.${number >> 16}`,
      requestId: '',
      traceparent: ''
    })
}

const openIdOf = (user: number) => `oBenchmark00000000${user.toString(36).padStart(10, '0')}`
const unionIdOf = (user: number) => `uBenchmark00000000${user.toString(36).padStart(10, '0')}`

async function measureLogins(server: RedisServer, what: string, count: number, width: number, first: number) {
  const store = await open(server)
  const login = createLogins(store)
  await login(0, openIdOf(0), unionIdOf(0))
  const cpu = await cpuOf(server)
  const started = performance.now()
  let next = 0
  const lane = async () => {
    while (next < count) {
      const number = first + next++
      await login(number, openIdOf(number % LOGINS), unionIdOf(number % LOGINS))
    }
  }
  await Promise.all(Array.from({ length: width }, lane))
  const seconds = (performance.now() - started) / 1_000
  const used = ((await cpuOf(server)) - cpu) / count
  row(
    `${what}, ${width} at a time`,
    `${(used * 1e6).toFixed(0)} µs of Redis; ${whole(count / seconds)} logins/s by one process`
  )
  await store.close()
}

/** Bytes of the first record of each kind, as Redis counts them (MEMORY USAGE). */
async function describeRecords(server: RedisServer): Promise<void> {
  for (const kind of ['user', 'union', 'key', 'session', 'code', 'limit']) {
    const found = /\$\d+\r\n(wxgate:[^\r]+)/.exec(
      await askRedis(server.port, `SCAN 0 MATCH wxgate:*${kind}:* COUNT ${LOGINS * 10}`)
    )?.[1]
    if (found === undefined) continue
    const bytes = /:(\d+)/.exec(await askRedis(server.port, `MEMORY USAGE ${found} SAMPLES 0`))?.[1]
    row(`one record \`${kind}:\``, `${bytes} bytes`)
  }
}

async function removeAll(server: RedisServer, pattern: string): Promise<void> {
  const script = `local c = '0' repeat local r = redis.call('SCAN', c, 'MATCH', '${pattern}', 'COUNT', 1000)
    c = r[1] if #r[2] > 0 then redis.call('DEL', unpack(r[2])) end until c == '0' return 1`
  const answer = await askRedis(server.port, `EVAL "${script.replaceAll(/\s+/g, ' ')}" 0`)
  if (answer !== ':1\r\n') throw new Error(answer)
}

async function measureMemory(server: RedisServer): Promise<void> {
  await askRedis(server.port, 'FLUSHALL')
  const empty = await fieldOf(server, 'memory', 'used_memory')
  await measureLogins(server, 'first logins', LOGINS, WIDTH, 1)
  const busy = await fieldOf(server, 'memory', 'used_memory')
  row('memory right after, per login', `${whole((busy - empty) / LOGINS)} bytes`)
  await describeRecords(server)
  // Codes and counters expire within a minute; the rest stays while the session lives.
  for (const kind of ['code', 'limit']) await removeAll(server, `wxgate:*${kind}:*`)
  const lasting = await fieldOf(server, 'memory', 'used_memory')
  row('memory per user with one session', `${whole((lasting - empty) / LOGINS)} bytes`)
  row(
    'the same as the kernel sees it (RSS of Redis)',
    `${whole((await fieldOf(server, 'memory', 'used_memory_rss')) / LOGINS)} bytes`
  )
  await measureLogins(server, 'further logins of known users', LOGINS / 2, WIDTH, LOGINS + 1)
  await measureLogins(server, 'further logins of known users', 2_000, 1, 2 * LOGINS + 1)
}

/** Every instance has its own connection, as every worker does. */
async function measureFollowing(server: RedisServer): Promise<void> {
  await askRedis(server.port, 'FLUSHALL')
  const stores = await Promise.all(Array.from({ length: INSTANCES }, () => open(server)))
  const followers = stores.map((store) =>
    createRevocations({ store, clock, log: quietLog(), accessTtl: 2 * HOUR, grace: HOUR })
  )
  await Promise.all(followers.map((follower) => follower.start()))
  const measure = async (what: string, work: () => Promise<unknown>) => {
    const cpu = await cpuOf(server)
    const started = performance.now()
    await work()
    const seconds = (performance.now() - started) / 1_000
    const share = ((await cpuOf(server)) - cpu) / seconds
    row(what, `${(share * 100).toFixed(2)} % of a core of Redis`)
    return share
  }
  const idle = await measure(`${INSTANCES} processes follow the feed, nothing ends`, () => delay(FOLLOW_MS))
  row('one reading of the feed', `${((idle / INSTANCES / 5) * 1e6).toFixed(0)} µs of Redis`)
  const [first] = followers
  await measure(`${INSTANCES} processes follow the feed, 100 sessions end per second`, async () => {
    for (let index = 0; index < FOLLOW_MS / 10; index++) {
      await first?.endSession(`Session${index}`)
      await delay(9)
    }
  })
  for (const follower of followers) follower.stop()
  await Promise.all(stores.map((store) => store.close()))
}

const server = await launchRedis('--appendonly', 'yes', '--maxmemory-policy', 'noeviction')
try {
  const version = /redis_version:(\S+)/.exec(await askRedis(server.port, 'INFO server'))?.[1]
  print(
    `Node ${process.versions.node}, Redis ${version} with appendonly (everysec), ${cpus().length} cores, ${cpus()[0]?.model.trim()}\n`
  )
  print('| what | figure |\n|---|---|')
  await measureMemory(server)
  await measureFollowing(server)
} finally {
  await server.remove()
}
process.exit(0)
