/** A failing SQLite file is a StoreError within the deadline that names the remedy, and other
 *  work continues meanwhile. */
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'
import { openStore } from '../src/store/open.ts'
import { createSqliteStore } from '../src/store/sqlite.ts'
import { openSqliteDatabase } from '../src/store/sqlite-database.ts'
import { createTestClock } from './support/clock.ts'
import { quietLog } from './support/store.ts'
import { idle } from './support/timers.ts'
import { PATIENCE, until } from './support/until.ts'

const HOUR = 3_600_000
const TIMEOUT = 250

function folderFor(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-sqlite-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function open(t: Test, file: string, clock = createTestClock(), timeout = TIMEOUT) {
  const store = await openStore(`sqlite:${file}`, { clock, log: quietLog(), timeout })
  t.teardown(() => store.close())
  return store
}

/** A tool that opens the same file. */
function openTool(t: Test, file: string): DatabaseSync {
  const tool = new DatabaseSync(file, { timeout: 2_000 })
  t.teardown(() => tool.close())
  return tool
}

test('a file locked by another process fails writes at the deadline, while reads and the event loop continue', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const store = await open(t, file)
  await store.set('a', 'x', HOUR)
  const tool = openTool(t, file)
  tool.exec('BEGIN IMMEDIATE')

  let beats = 0
  const beat = setInterval(() => beats++, 5)
  const writes = await Promise.allSettled([
    ...Array.from({ length: 20 }, (_, index) => store.set(`b${index}`, 'x', HOUR)),
    store.delete('a'),
    store.setIfAbsent('c', 'x', HOUR),
    store.compareAndSet('a', 'x', 'y', HOUR),
    store.increment('n', HOUR),
    store.appendFeed('x', HOUR)
  ])
  clearInterval(beat)
  for (const write of writes)
    t.match(write, {
      status: 'rejected',
      reason: { name: 'StoreError', message: /wxgate\.db is locked by another process/ }
    })
  t.ok(beats > 1, 'the event loop went on meanwhile')
  t.equal(await store.get('a'), 'x')
  t.strictSame((await store.readFeed('', 1)).entries, [])

  tool.exec('COMMIT')
  t.equal(await store.compareAndSet('a', 'x', 'y', HOUR), true)
})

test('a lock shorter than the deadline is waited for', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const store = await open(t, file, createTestClock(), PATIENCE)
  const tool = openTool(t, file)
  tool.exec('BEGIN IMMEDIATE')
  const writing = store.setIfAbsent('a', 'x', HOUR)
  await idle()
  tool.exec('COMMIT')
  t.equal(await writing, true)
})

test('a new file can be opened by many at the same moment, and an exclusively locked one is an error', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const stores = await Promise.all(Array.from({ length: 8 }, () => open(t, file, createTestClock(), PATIENCE)))
  const won = await Promise.all(stores.map((store) => store.setIfAbsent('a', 'x', HOUR)))
  t.equal(won.filter(Boolean).length, 1)
  for (const store of stores) await store.close()
  const tool = openTool(t, file)
  tool.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  await t.rejects(open(t, file), { name: 'StoreError', message: /is locked by another process/ })
})

test('a full disk fails writes with a StoreError, reads go on, and freed space is used', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const clock = createTestClock()
  const log = quietLog()
  const database = openSqliteDatabase(file, log)
  const store = createSqliteStore({ database, file, clock, log, timeout: TIMEOUT })
  t.teardown(() => store.close())
  await store.set('a', 'x', HOUR)
  await store.set('prize', 'once', HOUR)
  database.exec('PRAGMA max_page_count = 30')
  const full = { name: 'StoreError', message: /wxgate\.db cannot grow, the disk is full; free some space/ }
  let written = 0
  const fill = async () => {
    for (; written < 1_000; written++) await store.set(`b${written}`, 'x'.repeat(2_000), HOUR)
  }
  await t.rejects(fill(), full)
  const big = 'x'.repeat(100_000)
  await t.rejects(store.setIfAbsent('c', big, HOUR), full)
  await t.rejects(store.compareAndSet('a', 'x', big, HOUR), full)
  await t.rejects(store.appendFeed(big, HOUR), full)
  t.equal(await store.get('a'), 'x', 'failed writes changed nothing')
  t.equal(await store.get('c'), undefined)
  for (let index = 0; index < written; index++) await store.delete(`b${index}`)
  t.equal(await store.delete('prize'), true)
  await store.set('c', 'x'.repeat(2_000), HOUR)
})

test('a read-only file is named as such', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const first = await open(t, file)
  await first.set('a', 'x', HOUR)
  await first.close()
  // Write version 3 in the header makes a file read-only for SQLite, for root too
  // (fileformat2.html, 1.3.3).
  overwrite(file, 18, Buffer.from([3]))
  const store = await open(t, file)
  t.equal(await store.get('a'), 'x')
  await t.rejects(store.set('a', 'y', HOUR), {
    name: 'StoreError',
    message: /cannot be written; check the permissions/
  })
})

test('a damaged file is a StoreError that names the remedy', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const first = await open(t, file)
  for (let index = 0; index < 500; index++) await first.set(`k${index}`, 'x'.repeat(200), HOUR)
  await first.close()
  overwrite(file, 3 * 4_096, Buffer.alloc(statSync(file).size - 3 * 4_096, 0xa5))
  const store = await open(t, file)
  const outcomes = await Promise.allSettled([store.get('k1'), store.set('k2', 'y', HOUR), store.delete('k3')])
  for (const outcome of outcomes)
    t.match(outcome, {
      status: 'rejected',
      reason: { name: 'StoreError', message: /is damaged; stop wxgate and restore/ }
    })
})

test('a file other than a store of wxgate is refused and not changed', async (t) => {
  const folder = folderFor(t)
  writeFileSync(join(folder, 'notes.txt'), 'Dear diary, this is not a database. '.repeat(100))
  mkdirSync(join(folder, 'directory'))
  const newer = openSqliteDatabase(join(folder, 'newer.db'), quietLog())
  newer.exec('PRAGMA user_version = 99')
  newer.close()
  const wrong = {
    'notes.txt': /is not a SQLite database/,
    directory: /EISDIR|cannot be opened/,
    'notes.txt/wxgate.db': /cannot be used: .*(EEXIST|ENOTDIR)/,
    'newer.db': /another version of wxgate \(format 99\)/
  }
  for (const [name, message] of Object.entries(wrong))
    await t.rejects(open(t, join(folder, name)), { name: 'StoreError', message }, name)
  t.equal(statSync(join(folder, 'notes.txt')).size, 36 * 100)
})

test('expired rows are removed in the background, in small steps, by whichever process comes first', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const clock = createTestClock()
  const store = await open(t, file, clock)
  await open(t, file, clock)
  for (let index = 0; index < 350; index++) await store.set(`k${index}`, 'x', index < 300 ? 1_000 : HOUR)
  for (let index = 0; index < 150; index++) await store.appendFeed(`${index}`, 1_000)
  const tool = openTool(t, file)
  const count = () =>
    Number(tool.prepare('SELECT (SELECT count(*) FROM records) + (SELECT count(*) FROM feed) AS n').get()?.n)
  t.equal(count(), 500)
  clock.advance(1_000)
  const seen = new Set<number>()
  // Asked more often than a step is made.
  await until(() => seen.add(count()).has(50), 5)
  t.ok(
    [...seen].some((left) => left > 50 && left < 500),
    `in steps: ${[...seen].join(', ')}`
  )
  t.equal(await store.get('k349'), 'x')
})

test('writes move from the log into the file while the store is open', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const store = await open(t, file)
  const write = (index: number) => store.set(`k${index}`, 'x'.repeat(2_000), HOUR)
  // Fewer than those after which the file is written.
  for (let index = 0; index < 400; index++) await write(index)
  t.ok(statSync(file).size < 100_000)
  for (let index = 400; index < 600; index++) await write(index)
  await until(() => statSync(file).size > 1_000_000)
  t.equal(await store.get('k599'), 'x'.repeat(2_000))
})

test('acknowledged writes survive kill -9', async (t) => {
  const file = join(folderFor(t), 'wxgate.db')
  const program = fileURLToPath(new URL('support/fixtures/store-writer.ts', import.meta.url))
  for (const round of [1, 2, 3]) {
    const writer = spawn(process.execPath, [program, file, `${round}`], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    writer.stdout.setEncoding('utf8')
    const wanted = 200 + Math.floor(Math.random() * 300)
    await new Promise<void>((resolve) => {
      writer.stdout.on('data', (chunk) => {
        output += chunk
        if (output.split('\n').length > wanted) writer.kill('SIGKILL')
      })
      writer.on('close', () => resolve())
    })
    const acknowledged = output.split('\n').slice(0, -1)
    t.ok(acknowledged.length >= wanted)
    const store = await open(t, file, createTestClock(Date.now()))
    let lost = 0
    for (const key of acknowledged) if ((await store.get(key)) !== `value of ${key}`) lost++
    t.equal(lost, 0, `round ${round}: ${acknowledged.length} acknowledged`)
    await store.close()
  }
})

function overwrite(file: string, offset: number, bytes: Buffer): void {
  const descriptor = openSync(file, 'r+')
  writeSync(descriptor, bytes, 0, bytes.length, offset)
  closeSync(descriptor)
}
