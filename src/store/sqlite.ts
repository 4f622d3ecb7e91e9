/** `sqlite:PATH`: one file shared by all processes of a machine. Every operation is a single
 *  statement and therefore atomic across processes. */
import type { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../clock.ts'
import { StoreError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { Store } from './port.ts'
import { createRecords, wholeTtl } from './records.ts'
import { isBusy, openSqliteDatabase, toSqliteStoreError } from './sqlite-database.ts'
import { openSqliteFile } from './sqlite-file.ts'
import { createSqliteQueue, prepareQueue } from './sqlite-queue.ts'

/** Milliseconds between two tries at a locked file; the true wait is up to twice this. */
const RETRY_DELAY = 2

export interface SqliteStoreOptions {
  readonly database: DatabaseSync
  /** For messages. */
  readonly file: string
  readonly clock: Clock
  readonly log: Log
  /** Milliseconds. */
  readonly timeout: number
}

export interface OpenSqliteOptions extends Omit<SqliteStoreOptions, 'database' | 'file'> {
  /** Fails where there is no file yet. */
  readonly mustExist: boolean
}

export async function openSqliteStore(file: string, { mustExist, ...options }: OpenSqliteOptions): Promise<Store> {
  const { log, timeout } = options
  const database = await untilUnlocked(() => openSqliteDatabase(file, log, mustExist), file, timeout)
  return createSqliteStore({ ...options, file, database })
}

/** Owns the database and closes it with the store. */
export function createSqliteStore({ database, file, clock, log, timeout }: SqliteStoreOptions): Store {
  const open = openSqliteFile({ database, file, clock, log, prepare })
  let isClosed = false

  const read = <T>(work: (statements: Statements) => T): Promise<T> =>
    untilUnlocked(
      () => {
        if (isClosed) throw new StoreError('the store is closed')
        open.expectInPlace()
        return work(open.statements)
      },
      file,
      timeout
    )
  const write = <T>(work: (statements: Statements) => T): Promise<T> =>
    read((statements) => {
      const result = work(statements)
      // A write into a file that was removed meanwhile must not be confirmed.
      open.expectInPlace()
      open.noteWrites(1)
      return result
    })

  const records = createRecords({
    get: (key) => read((statements) => statements.get.get(key, clock.now())?.value as string | undefined),
    set: (key, value, ttl) =>
      write((statements) => {
        statements.set.run(key, value, clock.now() + wholeTtl(ttl))
      }),
    delete: (key) => write((statements) => statements.delete.run(key, clock.now()).changes === 1)
  })

  return {
    ...records,
    setIfAbsent: (key, value, ttl) =>
      write((statements) => {
        const now = clock.now()
        return statements.setIfAbsent.run(key, value, now + wholeTtl(ttl), now).changes === 1
      }),
    compareAndSet: (key, expected, value, ttl) =>
      write((statements) => {
        const now = clock.now()
        return statements.compareAndSet.run(value, now + wholeTtl(ttl), key, expected, now).changes === 1
      }),
    increment: (key, ttl) =>
      write((statements) => {
        const now = clock.now()
        return Number(statements.increment.all({ key, now, expires: now + wholeTtl(ttl) })[0]?.value)
      }),
    appendFeed: (value, ttl) =>
      write((statements) => {
        statements.append.run(value, clock.now() + wholeTtl(ttl))
      }),
    readFeed: (cursor, limit) =>
      read((statements) => {
        // Sequence numbers follow the order of commits, since there is one writer at a time: no
        // entry appears before one already read.
        const prefix = `${open.generation}:`
        const isKnown = cursor.startsWith(prefix)
        const after = isKnown ? Number(cursor.slice(prefix.length)) : 0
        const rows = statements.readFeed.all(after, clock.now(), limit)
        return {
          entries: rows.map((row) => row.value as string),
          cursor: `${prefix}${rows.at(-1)?.seq ?? after}`,
          hasRestarted: cursor !== '' && !isKnown
        }
      }),
    scan: (prefix, cursor, limit) =>
      read((statements) => {
        const rows = statements.scan.all(cursor || prefix, afterPrefix(prefix), clock.now(), limit)
        const keys = rows.map((row) => row.key as string)
        return { keys, cursor: keys.length < limit ? null : (keys.at(-1) ?? null) }
      }),
    queue: createSqliteQueue({
      clock,
      read: (work) => read(({ queue }) => work(queue)),
      write: (work) => write(({ queue }) => work(queue))
    }),
    async close() {
      if (isClosed) return
      isClosed = true
      await open.close()
    }
  }
}

type Statements = ReturnType<typeof prepare>

/** Changes that return rows use `all`: with `get` the error of a failing commit is not thrown. */
function prepare(database: DatabaseSync) {
  return {
    queue: prepareQueue(database),
    get: database.prepare('SELECT value FROM records WHERE key = ? AND expires > ?'),
    set: database.prepare(
      `INSERT INTO records (key, value, expires) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires`
    ),
    delete: database.prepare('DELETE FROM records WHERE key = ? AND expires > ?'),
    setIfAbsent: database.prepare(
      `INSERT INTO records (key, value, expires) VALUES (?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires WHERE records.expires <= ?`
    ),
    compareAndSet: database.prepare(
      'UPDATE records SET value = ?, expires = ? WHERE key = ? AND value = ? AND expires > ?'
    ),
    increment: database.prepare(
      `INSERT INTO records (key, value, expires) VALUES (:key, '1', :expires)
       ON CONFLICT (key) DO UPDATE SET
         value = CASE WHEN records.expires > :now THEN CAST(records.value AS INTEGER) + 1 ELSE 1 END,
         expires = CASE WHEN records.expires > :now THEN records.expires ELSE excluded.expires END
       RETURNING value`
    ),
    scan: database.prepare('SELECT key FROM records WHERE key > ? AND key < ? AND expires > ? ORDER BY key LIMIT ?'),
    append: database.prepare('INSERT INTO feed (value, expires) VALUES (?, ?)'),
    readFeed: database.prepare('SELECT seq, value FROM feed WHERE seq > ? AND expires > ? ORDER BY seq LIMIT ?')
  }
}

/** The first text behind all that begin with `prefix`, in the order of bytes. */
function afterPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
}

/** Runs synchronous work and repeats it while the file is locked, without blocking the event
 *  loop. */
async function untilUnlocked<T>(work: () => T, file: string, timeout: number): Promise<T> {
  let deadline: number | undefined
  for (;;) {
    try {
      return work()
    } catch (error) {
      const now = performance.now()
      deadline ??= now + timeout
      // Fail a little early, never after the deadline.
      if (!isBusy(error) || now + 2 * RETRY_DELAY >= deadline) throw toSqliteStoreError(error, file)
    }
    await delay(RETRY_DELAY * (1 + Math.random()))
  }
}
