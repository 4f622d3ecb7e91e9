/** The open file of the SQLite store. A file that was removed keeps working for the processes that
 *  have it open, and only for them: that is noticed by its inode, and another file is opened. */
import { statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../clock.ts'
import { StoreError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { startCheckpoints } from './sqlite-checkpoints.ts'
import { openSqliteDatabase, REMOVED } from './sqlite-database.ts'
import { startSweeping } from './sqlite-sweeping.ts'

export interface SqliteFile<Statements> {
  /** Throws a {@link StoreError} when another file, or none, has taken the place of the open one.
   *  The next call opens the file that is there. Call it before and after every operation. */
  expectInPlace(): void
  readonly statements: Statements
  /** Grows with every file that is opened. */
  readonly generation: number
  noteWrites(count: number): void
  close(): Promise<void>
}

export interface SqliteFileOptions<Statements> {
  readonly database: DatabaseSync
  readonly file: string
  readonly clock: Clock
  readonly log: Log
  readonly prepare: (database: DatabaseSync) => Statements
}

export function openSqliteFile<Statements>(options: SqliteFileOptions<Statements>): SqliteFile<Statements> {
  const { file, clock, log, prepare } = options
  let generation = 0
  let isLost = false
  let current = use(options.database)

  function use(database: DatabaseSync) {
    generation++
    const checkpoints = startCheckpoints({ file, log })
    const sweeping = startSweeping({ database, clock, log, onRemoved: checkpoints.noteWrites })
    return { database, checkpoints, sweeping, statements: prepare(database), inode: inodeOf(file) }
  }

  async function release({ database, checkpoints, sweeping }: typeof current): Promise<void> {
    sweeping.stop()
    await checkpoints.stop()
    database.close()
  }

  function lose(inode: bigint | null): never {
    if (!isLost) log.error({ file, isRemoved: inode === null }, 'the store file is not the one that was opened')
    isLost = true
    const event = inode === null ? REMOVED : 'was replaced by another file'
    throw new StoreError(`the store file ${file} ${event}`)
  }

  function reopen(): void {
    const previous = current
    current = use(openSqliteDatabase(file, log, true))
    isLost = false
    log.warn({ file }, 'the store file that has taken the place of the earlier one is open')
    release(previous).catch((error: unknown) => log.warn({ err: error }, 'the earlier store file was not closed'))
  }

  return {
    expectInPlace() {
      const inode = inodeOf(file)
      if (inode === current.inode && !isLost) return
      if (inode === null || !isLost) lose(inode)
      reopen()
    },
    get statements() {
      return current.statements
    },
    get generation() {
      return generation
    },
    noteWrites: (count) => current.checkpoints.noteWrites(count),
    close: () => release(current)
  }
}

/** The file is open as long as it counts, so its number is given to no other file. */
function inodeOf(file: string): bigint | null {
  return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino ?? null
}
