/** Opens the file of the SQLite store, creates its tables and explains its errors. */
import { closeSync, existsSync, fstatSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { StoreError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { QUEUE_SCHEMA } from './sqlite-queue.ts'

const SCHEMA_VERSION = 1

/** Completes "the store file … ". */
export const REMOVED = 'was removed; put it back, or restart wxgate to begin with an empty one'

/** Rows lie in the order of writing, which is about the order of expiry; only the small index
 *  of keys is random. A WITHOUT ROWID table would scatter every write and removal over the whole
 *  file. */
const SCHEMA = `
  CREATE TABLE records (key TEXT NOT NULL UNIQUE, value TEXT NOT NULL, expires INTEGER NOT NULL);
  CREATE INDEX records_expires ON records (expires);
  CREATE TABLE feed (seq INTEGER PRIMARY KEY AUTOINCREMENT, value TEXT NOT NULL, expires INTEGER NOT NULL);
  CREATE INDEX feed_expires ON feed (expires);
  PRAGMA user_version = ${SCHEMA_VERSION};`

/** Primary result codes, https://www.sqlite.org/rescode.html */
const BUSY = 5
const LOCKED = 6
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26

const ADVICE: Readonly<Record<number, string>> = {
  [BUSY]: 'is locked by another process for too long; close the tool that holds it',
  [LOCKED]: 'is locked by another process for too long; close the tool that holds it',
  [READONLY]: 'cannot be written; check the permissions of the file and of its directory',
  [IOERR]: 'cannot be read or written; check the disk',
  [CORRUPT]: 'is damaged; stop wxgate and restore it from a backup, or move it away to start empty',
  [FULL]: 'cannot grow, the disk is full; free some space',
  [CANTOPEN]: 'cannot be opened; check the path and the permissions of its directory',
  [NOTADB]: 'is not a SQLite database; name another file, or move this one away'
}

/** Opens or creates the file. May throw SQLite's own busy error, see {@link isBusy}. */
export function openSqliteDatabase(file: string, log: Log, mustExist = false): DatabaseSync {
  if (!mustExist) createPrivately(file, log)
  else if (!existsSync(file)) throw new StoreError(`the store file ${file} ${REMOVED}`)
  // No waiting inside SQLite, which would block the event loop: callers wait outside and try again.
  const database = new DatabaseSync(file, { timeout: 0 })
  try {
    // With WAL, readers and the writer do not wait for each other. With synchronous=NORMAL a
    // returned commit is in the kernel's page cache: it survives `kill -9`, as promised for an
    // answered login. Only a power cut or kernel crash can lose the last commits, and the file
    // stays consistent. FULL would add an fsync to every write. sqlite-checkpoints.ts runs the
    // checkpoints, which do fsync; at this number of pages (64 MB) SQLite runs one itself.
    database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 16384;
      PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32000; PRAGMA temp_store = MEMORY;`)
    if (versionOf(database) === 0) {
      // A file that is being copied here is empty at first.
      if (mustExist) throw new StoreError(`the store file ${file} holds no data of wxgate yet`)
      createTables(database)
    } else if (!hasQueue(database)) createTables(database)
    const version = versionOf(database)
    if (version !== SCHEMA_VERSION)
      throw new StoreError(`the store file ${file} was written by another version of wxgate (format ${version})`)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** Several workers may open the same new file. */
function createTables(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    if (versionOf(database) === 0) database.exec(SCHEMA)
    if (versionOf(database) === SCHEMA_VERSION) database.exec(QUEUE_SCHEMA)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** False for a file of version 0.1: its tables stay as they are, and the queue joins them. */
function hasQueue(database: DatabaseSync): boolean {
  return database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'queue_depths'").get() !== undefined
}

function versionOf(database: DatabaseSync): number {
  return Number(database.prepare('PRAGMA user_version').get()?.user_version)
}

/** SQLite gives its side files (-wal, -shm) the mode of the file itself. */
function createPrivately(file: string, log: Log): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  let descriptor: number
  try {
    descriptor = openSync(file, 'a', 0o600)
  } catch (error) {
    // SQLite decides whether a read-only file is usable.
    if ((error as NodeJS.ErrnoException).code === 'EACCES' || (error as NodeJS.ErrnoException).code === 'EROFS') return
    throw error
  }
  const { mode } = fstatSync(descriptor)
  closeSync(descriptor)
  if (mode & 0o077) log.warn({ file }, 'the store file can be read by other users of this machine; chmod 600 it')
}

/** The primary result code of an error from node:sqlite; null for any other error. */
function codeOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return null
  return error.errcode & 0xff
}

/** True when another process is writing: try again. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error)
  return code === BUSY || code === LOCKED
}

export function toSqliteStoreError(error: unknown, file: string): StoreError {
  if (error instanceof StoreError) return error
  const code = codeOf(error)
  const reason = error instanceof Error ? error.message : String(error)
  const advice = (code !== null && ADVICE[code]) || `cannot be used: ${reason}`
  return new StoreError(`the store file ${file} ${advice}`, { cause: error })
}
