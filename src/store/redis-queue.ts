/** The durable queue in Redis. Every operation is one script, and all keys of a queue lie in one
 *  hash slot. Time is the server's. */
import { randomBytes } from 'node:crypto'
import {
  type Claim,
  type DeadEvent,
  type DurableQueue,
  type Enqueued,
  FURTHEST_DUE_MS,
  type Settled,
  sizeOf
} from './queue.ts'
import type { RedisConnection } from './redis-connection.ts'
import { claimEvents, enqueueEvent, listDead, readDepth, reviveEvent, settleEvent } from './redis-queue-scripts.ts'
import { evaluate, type RedisScript } from './redis-scripts.ts'

export interface RedisQueueOptions {
  readonly prefix: string
  readonly run: <T>(operation: (connection: RedisConnection) => Promise<T>) => Promise<T>
}

export function createRedisQueue({ prefix, run }: RedisQueueOptions): DurableQueue {
  const keyOf = (queue: string, part: string) => `${prefix}q:{${queue}}:${part}`

  /** Keys of a queue, in the order in which the scripts name them. */
  const keysOf = (queue: string) =>
    ['lanes', 'leases', 'order', 'events', 'meta', 'dead'].map((part) => keyOf(queue, part))

  const call = (script: RedisScript, queue: string, args: readonly string[], more: readonly string[] = []) =>
    run((connection) => evaluate(connection, script, [...keysOf(queue), ...more], args))

  const newLease = () => randomBytes(12).toString('base64url')

  const seenKey = (queue: string, key: string) => keyOf(queue, `seen:${key}`)

  type Verb = 'done' | 'release' | 'bury'
  async function settle(queue: string, claim: Claim, verb: Verb, value = '', keep = 0): Promise<Settled> {
    const args = [claim.lane, claim.id, claim.lease, String(sizeOf(claim)), verb, value, String(keep)]
    const reply = await call(settleEvent, queue, args)
    return reply === 2 ? 'more' : reply === 1 ? 'empty' : 'lost'
  }

  return {
    async enqueue(queue, event, { leaseMs, rememberMs, maxEvents, maxBytes }) {
      const lease = newLease()
      const limits = [
        String(sizeOf(event)),
        String(maxEvents),
        String(maxBytes),
        String(rememberMs),
        leaseMs === null ? '' : String(leaseMs),
        lease
      ]
      const seen = [seenKey(queue, event.key)]
      const reply = await call(enqueueEvent, queue, [event.lane, event.value, ...limits], seen)
      return readEnqueued(reply, event, lease)
    },
    async claim(queue, count, leaseMs) {
      const lease = newLease()
      const reply = await call(claimEvents, queue, [String(count), String(leaseMs), lease, String(FURTHEST_DUE_MS)])
      return rows(reply).map(([id, lane, value, enqueuedAt, attempt]) => ({
        id: String(id),
        lane: String(lane),
        value: String(value),
        enqueuedAt: Number(enqueuedAt),
        attempt: Number(attempt),
        lease
      }))
    },
    done: (queue, claim) => settle(queue, claim, 'done'),
    release: async (queue, claim, delayMs) =>
      (await settle(queue, claim, 'release', String(Math.ceil(delayMs)))) !== 'lost',
    bury: (queue, claim, reason, keep) => settle(queue, claim, 'bury', reason, keep),
    async isKnown(queue, key) {
      const name = seenKey(queue, key)
      return (await run((connection) => connection.send(name, ['EXISTS', name]))) === 1
    },
    async dead(queue, after, count) {
      const reply = await call(listDead, queue, [after || '0', String(count)])
      return rows(reply).map(
        ([id, lane, value, enqueuedAt, diedAt, reason]): DeadEvent => ({
          id: String(id),
          lane: String(lane),
          value: String(value),
          enqueuedAt: Number(enqueuedAt),
          diedAt: Number(diedAt),
          reason: String(reason)
        })
      )
    },
    revive: async (queue, id) => /^\d{1,15}$/.test(id) && (await call(reviveEvent, queue, [id])) === 1,
    async depth(queue) {
      const [waiting, bytes, dead] = rows([await call(readDepth, queue, [])])[0] ?? []
      return { waiting: Number(waiting ?? 0), bytes: Number(bytes ?? 0), dead: Number(dead ?? 0) }
    }
  }
}

function readEnqueued(reply: unknown, { lane, value }: { lane: string; value: string }, lease: string): Enqueued {
  const [outcome, id, enqueuedAt, isLeased, isPaused] = Array.isArray(reply) ? reply : []
  if (outcome !== 'added') return { outcome: outcome === 'known' ? 'known' : 'full' }
  const event = { id: String(id), lane, value, enqueuedAt: Number(enqueuedAt) }
  const claim = isLeased === 1 ? { ...event, attempt: 1, lease } : null
  return { outcome, id: event.id, claim, isPaused: isPaused === 1 }
}

const rows = (reply: unknown): unknown[][] => (Array.isArray(reply) ? reply.filter((row) => Array.isArray(row)) : [])
