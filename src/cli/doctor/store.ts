/** Checks that the store can be reached, read and written. */
import { randomUUID } from 'node:crypto'
import { accessSync, constants, existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Clock } from '../../clock.ts'
import { reasonOf } from '../../errors.ts'
import { openStore } from '../../store/open.ts'
import type { Log } from '../../telemetry/log.ts'
import { type Finding, failed, ok, warning } from './finding.ts'

const TRIES = 3
const PAUSE_MS = 300
const PROBE_TTL_MS = 10_000

export interface StoreCheck {
  /** As in the configuration. May hold a password. */
  readonly store: string
  readonly baseDir: string
  readonly clock: Clock
  readonly log: Log
}

export async function checkStore({ store: url, baseDir, clock, log }: StoreCheck): Promise<Finding[]> {
  if (url === 'memory:') {
    return [warning('store', 'is in memory: a restart logs everyone out', 'use sqlite: or redis: in production')]
  }
  const file = url.startsWith('sqlite:') ? url.slice('sqlite:'.length) : null
  // Opening the store would create the file; this command changes nothing.
  if (file !== null && !existsSync(file)) return [checkFolder(dirname(file))]
  try {
    const store = await openStore(url, { clock, log, baseDir })
    try {
      await probe(store)
      return [ok('store', 'can be read and written')]
    } finally {
      await store.close()
    }
  } catch (error) {
    const advice =
      file === null
        ? 'check address, password, TLS and ACL, and that Redis has memory left'
        : `let this user write ${file} and its folder, and check that the disk is not full`
    return [failed('store', `cannot be used (${describe(error)})`, advice)]
  }
}

interface ProbedStore {
  get(key: string): Promise<string | undefined>
  set(key: string, value: string, ttl: number): Promise<void>
  delete(key: string): Promise<boolean>
}

/** Writes, reads and removes its own record. A Redis connection may need a moment to open. */
async function probe(store: ProbedStore): Promise<void> {
  const key = `doctor:${randomUUID()}`
  for (let attempt = 1; ; attempt++) {
    try {
      await store.set(key, key, PROBE_TTL_MS)
      break
    } catch (error) {
      if (attempt === TRIES) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }
  if ((await store.get(key)) !== key) throw new Error('the record that was written cannot be read')
  await store.delete(key)
}

function checkFolder(folder: string): Finding {
  const existing = nearestExisting(folder)
  try {
    accessSync(existing, constants.W_OK | constants.X_OK)
    return ok('store', `${folder} can be written; the file is created at the start`)
  } catch {
    return failed('store', `this user cannot write ${existing}`, 'change its owner, or set store (WXGATE_STORE)')
  }
}

function nearestExisting(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : nearestExisting(dirname(folder))
}

/** Messages of StoreError are for people and hold no password. */
function describe(error: unknown): string {
  return error instanceof Error && error.name === 'StoreError' ? error.message : reasonOf(error)
}
