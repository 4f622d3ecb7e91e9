/** Keeps one connection to Redis, replaces it when it is lost or silent, and gives every
 *  operation a deadline. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { StoreError } from '../errors.ts'
import type { Log } from '../telemetry/log.ts'
import type { RedisConnection } from './redis-connection.ts'
import { describeRedisError, replyCodeOf, toRedisStoreError } from './redis-errors.ts'

/** Milliseconds before the second attempt to connect, doubled for every further one. The
 *  true wait is random between half of it and all of it, so that instances return at different
 *  moments. */
const FIRST_BACKOFF = 50
const LONGEST_BACKOFF = 1_000

export interface RedisLink {
  /** Runs an operation on the current connection. Throws a {@link StoreError} when it fails or
   *  exceeds its deadline. */
  run<T>(operation: (connection: RedisConnection) => Promise<T>): Promise<T>
  /** Grows with every new connection, behind which may be another server or an older state of
   *  its data. */
  readonly generation: number
  /** Settles when the current attempt to connect is over, with or without success. */
  settled(): Promise<void>
  close(): void
}

export interface RedisLinkOptions {
  readonly connect: (onLost: () => void) => Promise<RedisConnection>
  /** Milliseconds for each operation. */
  readonly timeout: number
  readonly label: string
  readonly log: Log
}

export function createRedisLink({ connect, timeout, label, log }: RedisLinkOptions): RedisLink {
  let current: RedisConnection | null = null
  let generation = 0
  /** Attempts since the last successful operation. */
  let failures = 0
  let lastReply = Number.NEGATIVE_INFINITY
  let problem: unknown
  let isAway = false
  let isClosed = false
  let attempt: Promise<void> | null = null
  const closing = new AbortController()
  /** A connection must not hold the trace of the request that needs it first. */
  const outside = AsyncLocalStorage.snapshot()

  async function replace(): Promise<void> {
    if (failures > 0) {
      const backoff = Math.min(FIRST_BACKOFF * 2 ** (failures - 1), LONGEST_BACKOFF)
      await delay(backoff * (0.5 + Math.random() / 2), undefined, { ref: false, signal: closing.signal })
    }
    failures++
    const connection = await connect(() => lose(connection))
    if (isClosed) return connection.destroy()
    current?.destroy()
    current = connection
    generation++
    if (isAway) log.info({ store: label }, 'the store is connected again')
    isAway = false
  }

  function renew(): void {
    if (attempt || isClosed) return
    attempt = outside(replace)
      .catch((error: unknown) => {
        if (isClosed) return
        problem = error
        if (!isAway) log.warn({ store: label }, `the store ${describeRedisError(error)}; trying again until it answers`)
        isAway = true
      })
      .finally(() => {
        attempt = null
        if (!current || isAway) renew()
      })
  }

  /** A cluster stays usable without one node: its old connection serves until a new one has
   *  found the node's successor. */
  function lose(connection: RedisConnection): void {
    if (connection !== current) return
    if (!connection.isCluster) {
      current = null
      connection.destroy()
    }
    renew()
  }

  async function attend<T>(operation: (connection: RedisConnection) => Promise<T>, used: { by?: RedisConnection }) {
    // A connection lost a moment ago (restart, idle timeout) is usually back soon, so wait for one
    // attempt. After a failed attempt every caller fails at once.
    if (!current && failures <= 1 && attempt && !isAway) await attempt
    const connection = current
    if (!connection) throw toRedisStoreError(label, problem)
    used.by = connection
    try {
      const result = await operation(connection)
      lastReply = performance.now()
      failures = 0
      return result
    } catch (error) {
      if (replyCodeOf(error) === null) lose(connection)
      else {
        lastReply = performance.now()
        // After a failover the name may lead to another server.
        if (replyCodeOf(error) === 'READONLY') lose(connection)
      }
      throw toRedisStoreError(label, error)
    }
  }

  renew()

  return {
    run<T>(operation: (connection: RedisConnection) => Promise<T>): Promise<T> {
      if (isClosed) return Promise.reject(new StoreError('the store is closed'))
      const started = performance.now()
      const used: { by?: RedisConnection } = {}
      return new Promise<T>((resolve, reject) => {
        let isSettled = false
        const expire = () => {
          if (isSettled) return
          isSettled = true
          // No reply since this operation began: the connection is dead, and TCP would need minutes
          // to report it.
          if (used.by && lastReply < started) lose(used.by)
          reject(new StoreError(`the store (${label}) did not answer within ${timeout} ms`))
        }
        // A blocked process may have the answer unread in its socket: give it one more turn of the
        // loop.
        const timer = setTimeout(() => setImmediate(expire), timeout)
        const settle = () => {
          isSettled = true
          clearTimeout(timer)
        }
        attend(operation, used).then(
          (result) => {
            settle()
            resolve(result)
          },
          (error: unknown) => {
            settle()
            reject(error)
          }
        )
      })
    },
    get generation() {
      return generation
    },
    settled: async () => {
      await attempt
    },
    close() {
      if (isClosed) return
      isClosed = true
      closing.abort()
      current?.destroy()
      current = null
    }
  }
}
