/** The rules of every store, for each backend. */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { createDueOrder } from '../src/store/due-order.ts'
import { createGroupCommit } from '../src/store/group-commit.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import { createMemoryQueue } from '../src/store/memory-queue.ts'
import { openStore } from '../src/store/open.ts'
import { createTestClock } from './support/clock.ts'
import { queueRules } from './support/queue-rules.ts'
import { hasRedis, launchRedis } from './support/redis.ts'
import { quietLog } from './support/store.ts'
import { type Opened, storeRules } from './support/store-rules.ts'
import { idle } from './support/timers.ts'
import { PATIENCE } from './support/until.ts'

const HOUR = 3_600_000

interface Backend {
  readonly name: string
  open(t: Test): Promise<Opened>
}

const memory: Backend = {
  name: 'memory',
  async open(t) {
    const clock = createTestClock()
    const store = await openStore('memory:', { clock, log: quietLog() })
    t.teardown(() => store.close())
    return { store, twin: store, pass: async (milliseconds) => clock.advance(milliseconds) }
  }
}

const sqlite: Backend = {
  name: 'sqlite',
  async open(t) {
    const folder = mkdtempSync(join(tmpdir(), 'wxgate-store-'))
    const clock = createTestClock()
    const options = { clock, log: quietLog(), baseDir: folder }
    const store = await openStore('sqlite:./data/wxgate.db', options)
    const twin = await openStore(`sqlite:${folder}/data/wxgate.db`, options)
    t.teardown(async () => {
      await store.close()
      await twin.close()
      rmSync(folder, { recursive: true })
    })
    return { store, twin, pass: async (milliseconds) => clock.advance(milliseconds) }
  }
}

function redisAt(url: string): Backend {
  let count = 0
  return {
    name: 'redis',
    async open(t) {
      const options = { clock: createTestClock(), log: quietLog(), timeout: PATIENCE }
      const store = await openStore(`${url}?prefix=test${++count}:`, options)
      const twin = await openStore(`${url}?prefix=test${count}:`, options)
      t.teardown(async () => {
        await store.close()
        await twin.close()
      })
      // The server's clock cannot be set: wait, with a margin.
      return { store, twin, pass: (milliseconds) => delay(milliseconds + 5) }
    }
  }
}

async function holdTo(t: Test, backend: Backend): Promise<void> {
  for (const [title, rule] of Object.entries({ ...storeRules, ...queueRules }))
    await t.test(title, async (t) => {
      await rule(t, await backend.open(t))
    })
}

test('a memory store', (t) => holdTo(t, memory))

test('a sqlite store', (t) => holdTo(t, sqlite))

test('a redis store', async (t) => {
  if (!hasRedis(t)) return
  const server = await launchRedis()
  t.teardown(() => server.remove())
  await holdTo(t, redisAt(server.url))
})

test('a full memory store drops the least recently used record, and logs it once', async (t) => {
  const log = quietLog()
  const store = createMemoryStore({ clock: createTestClock(), log, maxRecords: 3 })
  for (const key of ['a', 'b', 'c']) await store.set(key, key, HOUR)
  t.equal(await store.get('a'), 'a')
  for (const key of ['d', 'e']) await store.set(key, key, HOUR)
  t.equal(await store.get('a'), 'a')
  t.equal(await store.get('b'), undefined)
  t.equal(log.lines.length, 1)
  t.match(log.lines[0], 'memory store is full')
})

test('a sqlite file is created with its folder, and only its owner may read it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-store-'))
  const store = await openStore('sqlite:deep/er/wxgate.db', {
    clock: createTestClock(),
    log: quietLog(),
    baseDir: folder
  })
  t.teardown(async () => {
    await store.close()
    rmSync(folder, { recursive: true })
  })
  await store.set('a', 'x', HOUR)
  for (const name of ['wxgate.db', 'wxgate.db-wal', 'wxgate.db-shm'])
    t.equal(statSync(join(folder, 'deep/er', name)).mode & 0o777, 0o600, name)
})

test('a store URL that cannot be used is refused without repeating it', async (t) => {
  const options = { clock: createTestClock(), log: quietLog() }
  const wrong = {
    '': /must be memory/,
    'postgres://me:hunter2@h/db': /must be memory/,
    'memory:x': /must be memory/,
    'sqlite:': /path of a file/,
    'sqlite::memory:': /path of a file/,
    'redis://': /cannot be read/,
    'redis://me:hunter2@h:6379/zero': /cannot be read/,
    'redis://me:hunter2@h:99999': /host or port/,
    'redis://me:hunter2@h:port': /host or port/,
    'redis://me:hunter2%zz@h': /percent-encoded/,
    'redis://me:hunter2@a,b': /several hosts/,
    'redis+cluster://me:hunter2@a,b/2': /only 0/,
    'redis+sentinel://me:hunter2@a,b': /name=mymaster/,
    'redis+other://me:hunter2@a': /cannot be read/,
    'redis://me:hunter2@h?hunter2=1': /does not exist/
  }
  for (const [url, message] of Object.entries(wrong)) {
    const error = await openStore(url, options).catch((error: unknown) => error)
    t.ok(error instanceof Error && error.name === 'StoreError' && message.test(error.message), url)
    t.notMatch(String(error), 'hunter2')
  }
})

test('transactions of one turn share a commit, and fail together', async (t) => {
  const done: string[] = []
  let commits = 0
  let fault: Error | null = null
  const transaction = createGroupCommit<string[]>(async (work) => {
    commits += 1
    if (fault !== null) throw fault
    work(done)
  })
  const results = await Promise.all(['a', 'b', 'c'].map((name) => transaction((sql) => sql.push(name))))
  t.same([results, done, commits], [[1, 2, 3], ['a', 'b', 'c'], 1])
  fault = new Error('disk full')
  const failed = await Promise.allSettled(['d', 'e'].map((name) => transaction((sql) => sql.push(name))))
  t.same(
    failed.map((one) => one.status === 'rejected' && one.reason),
    [fault, fault]
  )
  fault = null
  t.equal(await transaction((sql) => sql.push('f')), 4)
  t.equal(commits, 3)
})

test('work of a later turn joins a commit that waits for the file, and never overtakes it', async (t) => {
  const done: string[] = []
  let unlock = () => {}
  const unlocked = new Promise<void>((resolve) => {
    unlock = resolve
  })
  let commits = 0
  const transaction = createGroupCommit<string[]>(async (work) => {
    commits += 1
    await unlocked
    work(done)
  })
  const early = transaction((sql) => sql.push('early'))
  await idle()
  const later = transaction((sql) => sql.push('later'))
  await idle()
  unlock()
  t.same([await early, await later, done, commits], [1, 2, ['early', 'later'], 1])
})

test('keys of events leave records of the memory store alone, and the oldest ones go first', async (t) => {
  const clock = createTestClock()
  const store = createMemoryStore({ clock, log: quietLog(), maxRecords: 3 })
  for (const key of ['a', 'b', 'c']) await store.set(key, key, HOUR)
  const options = { leaseMs: HOUR, rememberMs: HOUR, maxEvents: 10, maxBytes: 1000 }
  for (const key of ['1', '2', '3', '4']) await store.queue.enqueue('q', { key, lane: key, value: '' }, options)
  t.equal(await store.get('a'), 'a')
  const small = createMemoryQueue({ clock, expectOpen() {}, maxKeys: 3 })
  for (const key of ['1', '2', '3', '4']) await small.enqueue('q', { key, lane: key, value: '' }, options)
  t.same(await Promise.all(['1', '2', '4'].map((key) => small.isKnown('q', key))), [false, true, true])
})

test('items come in the order of their times, and those of one time in the order of adding', (t) => {
  const order = createDueOrder<string>()
  const times = Array.from({ length: 500 }, (_, index) => (index * 7919) % 101)
  for (const [index, time] of times.entries()) order.add(`${time}:${index}`, time)
  const expected = times.map((time, index) => ({ item: `${time}:${index}`, due: time })).sort((a, b) => a.due - b.due)
  const taken = expected.map(() => order.takeDue(100))
  t.match(taken, expected)
  order.add('late', 101)
  t.equal(order.takeDue(100), null)
  t.match(order.takeDue(101), { item: 'late' })
  t.equal(order.takeDue(101), null)
  t.end()
})
