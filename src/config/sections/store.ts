/** `store`: where sessions and users are kept. */
import { resolve } from 'node:path'
import { isLoopback } from '../../http/addresses.ts'
import type { Static } from '../../schema.ts'
import { Type } from '../../schema.ts'
import { didYouMean } from '../problem.ts'
import { parseRedisUrl } from '../redis-url.ts'
import { type Draft, type RuleContext, refuseInProduction, warnUnlessAllowed } from '../section.ts'
import { secret } from '../terms.ts'
import type { ServerDraft } from './server.ts'

export const store = Type.Unsafe<string>({
  ...secret('Where sessions are kept: `memory`, `sqlite:PATH`, `redis://…` or `rediss://…`.'),
  default: 'sqlite:./data/wxgate.db',
  'x-env': 'WXGATE_STORE'
})

export type StoreDraft = Draft<{ store: Static<typeof store> }>

export function checkStore({ store, server }: StoreDraft & ServerDraft, context: RuleContext): void {
  if (store === undefined) return
  if (isMemory(store)) {
    checkMemory(server?.workers, context)
    return
  }
  const shape = shapeHint(store)
  const fault = storeFault(store)
  const scheme = store.split(':', 1)[0] ?? ''
  if (fault !== null) {
    const hint = shape ?? (schemes.includes(`${scheme}:`) ? undefined : didYouMean(scheme, schemes))
    context.report.error(['store'], fault, hint)
  } else if (/^redis(?:\+\w+)?:/.test(store) && isRemote(store)) {
    const message = 'sessions travel in clear to Redis: use rediss: outside a private network'
    warnUnlessAllowed(context, ['store'], message, 'plain-redis')
  } else if (store.startsWith('sqlite:')) {
    const reason = context.writeFault(resolve(context.directory, store.slice('sqlite:'.length)))
    if (reason === null) return
    context.report.error(['store'], `the file cannot be written: ${reason}`, 'name a folder that this user can write')
  }
}

/** The right form for a value that looks like a file, a Redis server or another database. */
function shapeHint(store: string): string | undefined {
  if (store.startsWith('sqlite:///')) return 'write sqlite:/data/wxgate.db'
  if (/^(?:sqlite3:|file:|sqlite:\/\/|[./~]|[\w-]+\.(?:db|sqlite3?)$)/.test(store))
    return 'write sqlite:./data/wxgate.db'
  if (/^(?:redis:(?!\/\/)|redis$|[\w.-]+:\d+$|\[)/.test(store)) return 'write redis://redis.internal:6379'
  if (/^(?:in-?memory|ram|none|mem|:memory:|sqlite::memory:)$/i.test(store)) return 'write memory'
  return undefined
}

function checkMemory(workers: number | 'auto' | undefined, context: RuleContext): void {
  refuseInProduction(
    context,
    ['store'],
    'a store in memory, which forgets every session at a restart, is refused',
    'memory-store'
  )
  if (workers === 'auto' || (workers !== undefined && workers > 1)) {
    context.report.error(
      ['server', 'workers'],
      'needs a store that processes can share: with memory each process has its own sessions',
      'use sqlite: or redis:, or 1 worker'
    )
  }
}

const schemes = ['memory:', 'sqlite:', 'redis:', 'rediss:', 'redis+cluster:', 'redis+sentinel:']

/** The word alone is valid too, because YAML reads an unquoted `memory:` as a key. */
function isMemory(store: string): boolean {
  return store === 'memory:' || store === 'memory'
}

export function isRedis(store: string): boolean {
  return /^rediss?(?:\+\w+)?:/.test(store)
}

function storeFault(store: string): string | null {
  if (/^sqlite:[^\0]+$/.test(store)) {
    return /^sqlite::memory:|^sqlite:\/\//.test(store) ? 'must name a file after sqlite:' : null
  }
  try {
    if (parseRedisUrl(store) !== null) return null
  } catch (error) {
    return error instanceof Error ? error.message : 'cannot be read'
  }
  return 'must be memory, sqlite:PATH, redis://HOST or rediss://HOST'
}

/** True when the first host is another machine. */
function isRemote(store: string): boolean {
  const host = /^redis(?:\+\w+)?:\/\/(?:[^/@]*@)?(\[[^\]]*\]|[^:/?,]*)/.exec(store)?.[1] ?? ''
  return !isLoopback(host)
}

/** `memory:`, `sqlite:` with an absolute path, or the Redis URL; may hold a password, so never
 *  log it. */
export function resolveStore(store: string, directory: string): string {
  if (isMemory(store)) return 'memory:'
  return store.startsWith('sqlite:') ? `sqlite:${resolve(directory, store.slice('sqlite:'.length))}` : store
}

/** The store without the credentials of Redis, which a running gateway can change. */
export function storeWithoutCredentials(store: string): string {
  if (!isRedis(store)) return store
  return JSON.stringify({ ...parseRedisUrl(store), credentials: null, sentinelCredentials: null })
}
