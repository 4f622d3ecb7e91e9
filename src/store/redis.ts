/** `redis://`: state shared by any number of machines. Needs Redis 6.2 or Valkey 7.2. Records
 *  expire by the server's clock. */
import type { RedisAddress } from '../config/redis-url.ts'
import { StoreError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { FeedPage, KeyPage, Store } from './port.ts'
import { createRecords, wholeTtl } from './records.ts'
import { connectRedis, type RedisConnection } from './redis-connection.ts'
import { idTime, isAfter, parseStreamEntries, type StreamEntry } from './redis-feed.ts'
import { createRedisLink } from './redis-link.ts'
import { createRedisQueue } from './redis-queue.ts'
import { appendFeed, compareAndSet, evaluate, increment } from './redis-scripts.ts'

/** Connecting may take longer than an operation (milliseconds). */
const SHORTEST_CONNECT_TIMEOUT = 1_000

export interface RedisStoreOptions {
  readonly address: RedisAddress
  /** The address whose credentials the next connection uses. */
  readonly currentAddress: () => RedisAddress
  readonly log: Log
  /** Milliseconds. */
  readonly timeout: number
  /** Replicas that must have a feed entry, and the writes before it, when `appendFeed` resolves. */
  readonly waitReplicas: number
}

/** Resolves when the server answers or the deadline has passed. Without a server every
 *  operation fails until the store has found one; the store need not be opened again. */
export async function openRedisStore(options: RedisStoreOptions): Promise<Store> {
  const { address, currentAddress, log, timeout, waitReplicas } = options
  const connectTimeout = Math.max(timeout, SHORTEST_CONNECT_TIMEOUT)
  const link = createRedisLink({
    connect: (onLost) => connectRedis({ address: currentAddress(), timeout: connectTimeout, onLost }),
    timeout,
    label: address.label,
    log
  })
  const keyOf = (key: string) => `${address.prefix}r:${key}`
  const feedKey = `${address.prefix}feed`

  const send = (key: string, args: readonly string[]) => link.run((connection) => connection.send(key, args))

  const records = createRecords({
    async get(key) {
      const name = keyOf(key)
      return textOf(await send(name, ['GET', name]))
    },
    async set(key, value, ttl) {
      const name = keyOf(key)
      await send(name, ['SET', name, value, 'PX', String(ttl)])
    },
    async delete(key) {
      const name = keyOf(key)
      return (await send(name, ['UNLINK', name])) === 1
    }
  })

  const store: Store = {
    ...records,
    async setIfAbsent(key, value, ttl) {
      const name = keyOf(key)
      return (await send(name, ['SET', name, value, 'PX', String(wholeTtl(ttl)), 'NX'])) === 'OK'
    },
    compareAndSet(key, expected, value, ttl) {
      const args = [expected, value, String(wholeTtl(ttl))]
      return link.run(async (connection) => (await evaluate(connection, compareAndSet, keyOf(key), args)) === 1)
    },
    increment(key, ttl) {
      const args = [String(wholeTtl(ttl))]
      return link.run(async (connection) => Number(await evaluate(connection, increment, keyOf(key), args)))
    },
    async appendFeed(value, ttl) {
      const args = [value, String(wholeTtl(ttl))]
      const confirmed = await link.run(async (connection) => {
        await evaluate(connection, appendFeed, feedKey, args)
        return waitReplicas === 0 ? 0 : countReplicas(connection, waitReplicas, timeout / 2)
      })
      if (confirmed >= waitReplicas) return
      throw new StoreError(`${confirmed} of ${waitReplicas} replicas confirmed the end of a session in time`)
    },
    readFeed: (cursor, limit) =>
      link.run((connection) => readFeed(connection, feedKey, link.generation, cursor, limit)),
    scan: (prefix, cursor, limit) =>
      link.run(async (connection) => {
        const { keys, ...page } = await scanKeys(connection, keyOf(prefix), cursor, limit)
        return { ...page, keys: keys.map((key) => key.slice(keyOf('').length)) }
      }),
    queue: createRedisQueue({ prefix: address.prefix, run: link.run }),
    async close() {
      link.close()
    }
  }

  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeout)
  })
  await Promise.race([link.settled(), deadline])
  clearTimeout(timer)
  return store
}

/** WAIT counts the replicas that have every earlier write of the same connection. The connection
 *  serves nothing else meanwhile. */
async function countReplicas(connection: RedisConnection, wanted: number, timeoutMs: number): Promise<number> {
  const args = ['WAIT', String(wanted), String(Math.ceil(timeoutMs))]
  const counts = await Promise.all(connection.servers().map((send) => send(args)))
  return Math.min(...counts.map(Number))
}

/** A cursor is `generation:id`. A cursor from an earlier connection, or ahead of the stream,
 *  starts again at the oldest live entry: after a restart, a wipe or a failover to a lagging
 *  replica, entries may stand before the reader's place. The reader then gets some entries twice
 *  and misses none that the server still has. It cannot recover entries that the server lost;
 *  writers append before they answer. */
async function readFeed(
  connection: RedisConnection,
  key: string,
  generation: number,
  cursor: string,
  limit: number
): Promise<FeedPage> {
  const prefix = `${generation}:`
  let after = cursor.startsWith(prefix) ? cursor.slice(prefix.length) : ''
  let hasRestarted = cursor !== '' && !cursor.startsWith(prefix)
  const live: string[] = []
  for (;;) {
    const wanted = limit - live.length
    const { last, now, entries } = await readStream(connection, key, after, wanted)
    if (after && isAfter(after, last)) {
      after = ''
      hasRestarted = true
      continue
    }
    for (const entry of entries) if (idTime(entry.id) + entry.ttl > now) live.push(entry.value)
    after = entries.at(-1)?.id ?? after
    // Expired entries not yet trimmed must not make a full page look like the last one.
    if (entries.length < wanted || live.length >= limit) return { entries: live, cursor: prefix + after, hasRestarted }
  }
}

/** A cursor is `server:cursor of that server`. */
async function scanKeys(connection: RedisConnection, prefix: string, cursor: string, limit: number): Promise<KeyPage> {
  const [number = 0, position = '0'] = [Number(cursor.split(':')[0]), cursor.split(':')[1]]
  const servers = connection.servers()
  const pattern = `${prefix.replace(/[\\*?[\]^]/g, '\\$&')}*`
  const reply = await servers[number]?.(['SCAN', position, 'MATCH', pattern, 'COUNT', String(limit)])
  if (!Array.isArray(reply)) return { keys: [], cursor: null }
  const [next, keys] = reply as [string, string[]]
  if (next !== '0') return { keys, cursor: `${number}:${next}` }
  return { keys, cursor: number + 1 < servers.length ? `${number + 1}:0` : null }
}

/** One round trip: the three commands leave together. */
async function readStream(connection: RedisConnection, key: string, after: string, count: number) {
  const [last, time, range] = await Promise.all([
    connection.send(key, ['XINFO', 'STREAM', key]).then(lastIdOf, (error: unknown) => {
      // A missing stream has no last entry.
      if (error instanceof Error && error.message === 'ERR no such key') return '0-0'
      throw error
    }),
    connection.send(key, ['TIME']),
    connection.send(key, ['XRANGE', key, after ? `(${after}` : '-', '+', 'COUNT', String(count)])
  ])
  // Seconds and microseconds.
  const now = Array.isArray(time) ? Number(time[0]) * 1_000 + Number(time[1]) / 1_000 : 0
  const entries: StreamEntry[] = parseStreamEntries(range)
  return { last, now, entries }
}

function lastIdOf(reply: unknown): string {
  if (!Array.isArray(reply)) return '0-0'
  const at = reply.indexOf('last-generated-id')
  return at < 0 ? '0-0' : String(reply[at + 1])
}

function textOf(reply: unknown): string | undefined {
  return typeof reply === 'string' ? reply : undefined
}
