/** Opens the store that the configuration names. */
import { resolve } from 'node:path'
import type { Clock } from '../clock.ts'
import { parseRedisUrl } from '../config/redis-url.ts'
import { StoreError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import { createMemoryStore } from './memory.ts'
import type { Store } from './port.ts'
import { openSqliteStore } from './sqlite.ts'

export interface OpenStoreOptions {
  readonly clock: Clock
  readonly log: Log
  /** Milliseconds for every operation. */
  readonly timeout?: number
  /** For a SQLite file: fails where there is none yet. */
  readonly mustExist?: boolean
  /** Redis: replicas that must confirm the end of a session. */
  readonly waitReplicas?: number
  /** The URL with the credentials of the next connection to Redis; default: `url`. */
  readonly currentUrl?: () => string
  /** Base of relative paths; by default the working directory. */
  readonly baseDir?: string
}

const DEFAULT_TIMEOUT = 1_000

/** `memory:`, `sqlite:PATH`, `redis://…`, `rediss://…` (see redis-url.ts for Cluster and
 *  Sentinel). Throws a {@link StoreError} with a message for people when the URL is wrong or the
 *  file cannot be used. An unreachable Redis is no error here: operations fail until it answers. */
export async function openStore(url: string, options: OpenStoreOptions): Promise<Store> {
  const { clock, log, timeout = DEFAULT_TIMEOUT, baseDir = '.', mustExist = false, waitReplicas = 0 } = options
  if (url === 'memory:') return createMemoryStore({ clock, log })
  if (url.startsWith('sqlite:')) {
    const path = url.slice('sqlite:'.length).replace(/^\/\/(?=\/)/, '')
    if (!path || path === ':memory:')
      throw new StoreError('the store sqlite: needs the path of a file; see also memory:')
    return openSqliteStore(resolve(baseDir, path), { clock, log, timeout, mustExist })
  }
  const addressOf = (text: string) => {
    const address = parseRedisUrl(text)
    if (!address) throw new StoreError('the store must be memory:, sqlite:PATH, redis://… or rediss://…')
    return { ...address, caFile: address.caFile === null ? null : resolve(baseDir, address.caFile) }
  }
  const address = addressOf(url)
  const currentAddress = () => addressOf(options.currentUrl?.() ?? url)
  // Loaded on demand: the Redis client is half as large as all other code together.
  const { openRedisStore } = await import('./redis.ts')
  return openRedisStore({ address, currentAddress, log, timeout, waitReplicas })
}
