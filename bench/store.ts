/** Measures the stores. `node bench/store.ts [sessions]` prints a Markdown table; one to two
 *  minutes for the default of 1,000,000 sessions, which need about 700 MB in the temporary
 *  folder. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../src/clock.ts'
import { openStore } from '../src/store/open.ts'
import type { Store } from '../src/store/port.ts'
import { askRedis, launchRedis, type RedisServer } from '../test/support/redis.ts'
import { quietLog } from '../test/support/store.ts'

const SESSIONS = Number(process.argv[2] ?? 1_000_000)
const FEED = 100_000
const DAY = 86_400_000
/** A session record: ids, times, a sealed refresh state. */
const RECORD = JSON.stringify({ v: 1, app: 'wx1234567890abcdef', sealed: randomBytes(256).toString('base64') }).padEnd(
  400
)

const print = (line: string) => process.stdout.write(`${line}\n`)
const row = (what: string, figure: string) => print(`| ${what} | ${figure} |`)
const sessionKey = (index: number) => `session:s_${index.toString(36).padStart(20, '0')}`
const whole = (figure: number) => Math.round(figure).toLocaleString('en')
const short = (figure: number) => (figure >= 100 ? whole(figure) : figure.toFixed(1))
const random = (below: number) => Math.floor(Math.random() * below)
const openAt = (url: string) => openStore(url, { clock: systemClock, log: quietLog(), timeout: 10_000 })

/** Microseconds of each call, sorted. */
async function timesOf(count: number, call: (index: number) => Promise<unknown>): Promise<number[]> {
  const times: number[] = []
  for (let index = 0; index < count; index++) {
    const started = performance.now()
    await call(index)
    times.push((performance.now() - started) * 1_000)
    // Awaiting settled promises alone would never let a timer run.
    if (index % 64 === 0) await new Promise(setImmediate)
  }
  return times.sort((a, b) => a - b)
}

function spread(times: readonly number[]): string {
  const at = (share: number) => short(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0)
  const mean = times.reduce((sum, time) => sum + time, 0) / times.length
  return `mean ${short(mean)} µs, p50 ${at(0.5)}, p99 ${at(0.99)}, p99.9 ${at(0.999)}, max ${at(1)}`
}

/** Keeps `width` calls under way. Resolves with the seconds. */
async function inParallel(count: number, width: number, call: (index: number) => Promise<unknown>): Promise<number> {
  const started = performance.now()
  let next = 0
  const lane = async () => {
    while (next < count) await call(next++)
  }
  await Promise.all(Array.from({ length: width }, lane))
  return (performance.now() - started) / 1_000
}

/** The store's part of one login: one-time code, user, session, session_key, refresh state. */
async function login(store: Store, id: string): Promise<void> {
  await store.setIfAbsent(`code:${id}`, '1', 10_000)
  await store.get(`user:${id}`)
  await store.setIfAbsent(`user:${id}`, RECORD, DAY)
  await store.set(`session:${id}`, RECORD, DAY)
  await store.set(`key:${id}`, RECORD, DAY)
  await store.set(`code:${id}`, RECORD, 10_000)
}

async function measureLogins(name: string, store: Store, count: number, width: number): Promise<void> {
  const run = random(1e9)
  await inParallel(500, width, (index) => login(store, `warm-${run}-${index}`))
  const before = process.cpuUsage()
  const seconds = await inParallel(count, width, (index) => login(store, `${run}-${index}`))
  const { user, system } = process.cpuUsage(before)
  row(
    `${name}: logins, ${width} at a time`,
    `${whole(count / seconds)} /s, ${whole((user + system) / count)} µs CPU each`
  )
}

async function measureFeed(name: string, store: Store): Promise<void> {
  const entry = JSON.stringify({ x: Date.now() + DAY, s: sessionKey(1) })
  const append = await inParallel(FEED, 100, () => store.appendFeed(entry, DAY))
  const started = performance.now()
  let cursor = ''
  let read = 0
  for (;;) {
    const page = await store.readFeed(cursor, 5_000)
    read += page.entries.length
    cursor = page.cursor
    if (page.entries.length < 5_000) break
  }
  const took = performance.now() - started
  if (read !== FEED) throw new Error(`read ${read} entries of ${FEED}`)
  row(`${name}: append to the feed`, `${short((append / FEED) * 1e6)} µs each`)
  row(`${name}: read a feed of ${whole(FEED)} from the start`, `${whole(took)} ms`)
  row(`${name}: read it again, nothing new`, spread(await timesOf(3_000, () => store.readFeed(cursor, 5_000))))
}

async function benchSqlite(folder: string): Promise<void> {
  const file = join(folder, 'small.db')
  const store = await openAt(`sqlite:${file}`)
  await measureLogins('sqlite, empty file', store, 15_000, 1)
  row('sqlite: get', spread(await timesOf(20_000, (index) => store.get(`none:${index}`))))
  row('sqlite: set', spread(await timesOf(20_000, (index) => store.set(sessionKey(index), RECORD, DAY))))
  await measureFeed('sqlite', store)
  await store.close()

  const bigFile = join(folder, 'big.db')
  const big = await openAt(`sqlite:${bigFile}`)
  fill(bigFile)
  row(`sqlite: file with ${whole(SESSIONS)} sessions`, `${short(statSync(bigFile).size / SESSIONS)} bytes each`)
  const lookUp = () => big.get(sessionKey(random(SESSIONS)))
  await timesOf(5_000, lookUp)
  row('sqlite, big file: random lookup', spread(await timesOf(50_000, lookUp)))
  await measureLogins('sqlite, big file', big, 15_000, 1)

  const tool = new DatabaseSync(bigFile, { timeout: 10_000 })
  const expiring = Math.min(50_000, SESSIONS / 5)
  tool.prepare('UPDATE records SET expires = ? WHERE key < ?').run(Date.now() + 100, sessionKey(expiring))
  const count = tool.prepare('SELECT count(*) AS n FROM records WHERE expires <= ?')
  await delay(1_200)
  const left = Number(count.get(Date.now())?.n)
  row('sqlite, big file: random lookup while expiring', spread(await timesOf(50_000, lookUp)))
  const started = performance.now()
  const removing = left - Number(count.get(Date.now())?.n)
  let longest = 0
  let last = performance.now()
  while (performance.now() - started < 3_000) {
    await new Promise(setImmediate)
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  row('sqlite, big file: longest hold of the event loop while expiring', `${short(longest)} ms`)
  row(
    'sqlite, big file: rows removed during these lookups, and still to remove',
    `${whole(removing)}, ${whole(left - removing)}`
  )
  tool.close()
  await big.close()
}

/** Writes directly: a million single writes would take half a minute for the same result. */
function fill(file: string): void {
  const tool = new DatabaseSync(file, { timeout: 10_000 })
  tool.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -200000; BEGIN')
  const insert = tool.prepare('INSERT INTO records (key, value, expires) VALUES (?, ?, ?)')
  const expires = Date.now() + DAY
  for (let index = 0; index < SESSIONS; index++) insert.run(sessionKey(index), RECORD, expires + index)
  tool.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE)')
  tool.close()
}

async function fieldOf(server: RedisServer, section: string, field: string): Promise<number> {
  return Number(new RegExp(`${field}:([\\d.]+)`).exec(await askRedis(server.port, `INFO ${section}`))?.[1])
}

async function cpuOf(server: RedisServer): Promise<number> {
  return (await fieldOf(server, 'cpu', 'used_cpu_user')) + (await fieldOf(server, 'cpu', 'used_cpu_sys'))
}

async function benchRedis(server: RedisServer): Promise<void> {
  const store = await openAt(server.url)
  const cost = async (what: string, count: number, work: () => Promise<unknown>) => {
    const before = await cpuOf(server)
    await work()
    row(`redis-server: CPU per ${what}`, `${short((((await cpuOf(server)) - before) / count) * 1e6)} µs`)
  }
  row('redis: get, one at a time', spread(await timesOf(5_000, (index) => store.get(`none:${index}`))))
  await cost('login, one at a time', 2_000, () => measureLogins('redis', store, 1_500, 1))
  await cost('login, 64 at a time', 15_500, () => measureLogins('redis', store, 15_000, 64))
  await askRedis(server.port, 'FLUSHALL')

  const before = await fieldOf(server, 'memory', 'used_memory')
  await inParallel(100_000, 200, (index) => store.set(sessionKey(index), RECORD, DAY))
  const used = (await fieldOf(server, 'memory', 'used_memory')) - before
  row(`redis: memory per session (a value of ${RECORD.length} bytes)`, `${short(used / 100_000)} bytes`)
  await askRedis(server.port, 'FLUSHALL')

  await cost('feed entry, appended and read once', FEED, () => measureFeed('redis', store))
  row(
    `redis: memory of a feed of ${whole(FEED)}`,
    `${short(((await fieldOf(server, 'memory', 'used_memory')) - before) / FEED)} bytes each`
  )
  const { cursor } = await store.readFeed('', FEED + 1)
  await cost('reading of the feed, nothing new', 5_000, () => timesOf(5_000, () => store.readFeed(cursor, 5_000)))
  await store.close()
}

const folder = mkdtempSync(join(tmpdir(), 'wxgate-bench-'))
const server = await launchRedis()
try {
  const sqliteVersion = new DatabaseSync(':memory:').prepare('SELECT sqlite_version() AS v').get()?.v
  const redisVersion = /redis_version:(\S+)/.exec(await askRedis(server.port, 'INFO server'))?.[1]
  print(`Node ${process.versions.node}, SQLite ${sqliteVersion}, Redis ${redisVersion}\n`)
  print('| what | figure |\n|---|---|')
  const memory = await openAt('memory:')
  await measureLogins('memory', memory, 15_000, 1)
  await measureFeed('memory', memory)
  await memory.close()
  await benchSqlite(folder)
  await benchRedis(server)
} finally {
  await server.remove()
  rmSync(folder, { recursive: true })
}
