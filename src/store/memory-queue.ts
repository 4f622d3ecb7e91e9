/** The durable queue of one process. It ends with the process, like every record of the memory
 *  store. */
import type { Clock } from '../clock.ts'
import { createDueOrder, type DueOrder } from './due-order.ts'
import { type Claim, type DeadEvent, type DurableQueue, type NewEvent, type Settled, sizeOf } from './queue.ts'

interface MemoryEvent {
  readonly id: string
  readonly lane: string
  readonly value: string
  readonly enqueuedAt: number
  attempts: number
}

interface Lane {
  readonly name: string
  readonly events: MemoryEvent[]
  due: number
  lease: string
}

interface Queue {
  readonly lanes: Map<string, Lane>
  /** A lane has an entry for every time at which it was due; the one of its present time counts. */
  readonly order: DueOrder<Lane>
  readonly dead: Map<string, DeadEvent>
  waiting: number
  bytes: number
}

const NO_LEASE = ''

/** Most keys that are remembered. Above it the oldest one goes. */
const MAX_KEYS = 100_000

export interface MemoryQueueOptions {
  readonly clock: Pick<Clock, 'monotonic' | 'now'>
  /** Throws a StoreError once the store is closed. */
  readonly expectOpen: () => void
  readonly maxKeys?: number
}

export function createMemoryQueue({ clock, expectOpen, maxKeys = MAX_KEYS }: MemoryQueueOptions): DurableQueue {
  const queues = new Map<string, Queue>()
  const keys = createKeys(clock, maxKeys)
  let lastId = 0
  let lastLease = 0

  function queueOf(name: string): Queue {
    let queue = queues.get(name)
    if (queue === undefined) {
      queue = { lanes: new Map(), order: createDueOrder(), dead: new Map(), waiting: 0, bytes: 0 }
      queues.set(name, queue)
    }
    return queue
  }

  function setDue({ order }: Queue, lane: Lane, due: number): void {
    lane.due = due
    order.add(lane, due)
  }

  function lease(queue: Queue, lane: Lane, leaseMs: number): Claim | null {
    const [event] = lane.events
    if (event === undefined) return null
    setDue(queue, lane, clock.monotonic() + leaseMs)
    lane.lease = String(++lastLease)
    event.attempts++
    const { id, value, enqueuedAt, attempts: attempt } = event
    return { id, lane: event.lane, value, enqueuedAt, attempt, lease: lane.lease }
  }

  /** The leased lane and its queue; null when the lease was lost. */
  function leased(name: string, claim: Claim): { queue: Queue; lane: Lane } | null {
    const queue = queueOf(name)
    const lane = queue.lanes.get(claim.lane)
    return lane !== undefined && lane.lease === claim.lease ? { queue, lane } : null
  }

  function free(queue: Queue, lane: Lane, due: number): void {
    lane.lease = NO_LEASE
    if (lane.events.length === 0) queue.lanes.delete(lane.name)
    else setDue(queue, lane, due)
  }

  function takeFirst({ queue, lane }: { queue: Queue; lane: Lane }, claim: Claim): Settled {
    lane.events.shift()
    queue.waiting--
    queue.bytes -= sizeOf(claim)
    free(queue, lane, clock.monotonic())
    return lane.events.length > 0 ? 'more' : 'empty'
  }

  function place(queue: Queue, event: MemoryEvent): Lane {
    let lane = queue.lanes.get(event.lane)
    if (lane === undefined) {
      lane = { name: event.lane, events: [], due: 0, lease: NO_LEASE }
      queue.lanes.set(event.lane, lane)
      setDue(queue, lane, clock.monotonic())
    }
    const isNewest = Number(lane.events.at(-1)?.id ?? 0) < Number(event.id)
    const later = isNewest ? -1 : lane.events.findIndex(({ id }) => Number(id) > Number(event.id))
    // The first event of a leased lane is being delivered.
    if (later < 0) lane.events.push(event)
    else lane.events.splice(lane.lease === NO_LEASE ? later : Math.max(1, later), 0, event)
    queue.waiting++
    queue.bytes += sizeOf(event)
    return lane
  }

  return {
    async enqueue(name, event: NewEvent, { leaseMs, rememberMs, maxEvents, maxBytes }) {
      expectOpen()
      if (keys.has(keyOf(name, event.key))) return { outcome: 'known' }
      const queue = queueOf(name)
      if (queue.waiting >= maxEvents || queue.bytes + sizeOf(event) > maxBytes) return { outcome: 'full' }
      keys.add(keyOf(name, event.key), rememberMs)
      const id = String(++lastId)
      const isIdle = !queue.lanes.has(event.lane)
      const { lane, value } = event
      const placed = place(queue, { id, lane, value, enqueuedAt: clock.now(), attempts: 0 })
      const isPaused = placed.lease === NO_LEASE && placed.due > clock.monotonic()
      const claim = isIdle && leaseMs !== null ? lease(queue, placed, leaseMs) : null
      return { outcome: 'added', id, claim, isPaused }
    },
    async claim(name, count, leaseMs) {
      const queue = queueOf(name)
      const claims: Claim[] = []
      while (claims.length < count) {
        const next = queue.order.takeDue(clock.monotonic())
        if (next === null) break
        const { item: lane, due } = next
        if (lane.due !== due || queue.lanes.get(lane.name) !== lane) continue
        const claim = lease(queue, lane, leaseMs)
        if (claim !== null) claims.push(claim)
      }
      return claims
    },
    async done(name, claim) {
      const found = leased(name, claim)
      return found === null ? 'lost' : takeFirst(found, claim)
    },
    async release(name, claim, delayMs) {
      const found = leased(name, claim)
      if (found !== null) free(found.queue, found.lane, clock.monotonic() + delayMs)
      return found !== null
    },
    async bury(name, claim, reason, keep) {
      const found = leased(name, claim)
      if (found === null) return 'lost'
      const settled = takeFirst(found, claim)
      const { id, lane, value, enqueuedAt } = claim
      const { dead } = found.queue
      dead.set(id, { id, lane, value, enqueuedAt, diedAt: clock.now(), reason })
      dropOldest(dead, keep)
      return settled
    },
    async isKnown(name, key) {
      expectOpen()
      return keys.has(keyOf(name, key))
    },
    async dead(name, after, count) {
      return [...queueOf(name).dead.values()]
        .filter(({ id }) => Number(id) > Number(after || 0))
        .sort((a, b) => Number(a.id) - Number(b.id))
        .slice(0, count)
    },
    async revive(name, id) {
      const queue = queueOf(name)
      const event = queue.dead.get(id)
      if (event === undefined) return false
      queue.dead.delete(id)
      const { lane, value, enqueuedAt } = event
      place(queue, { id, lane, value, enqueuedAt, attempts: 0 })
      return true
    },
    async depth(name) {
      const { waiting, bytes, dead } = queueOf(name)
      return { waiting, bytes, dead: dead.size }
    }
  }
}

const keyOf = (queue: string, key: string) => `${queue}:${key}`

/** Keys of events with the time at which each is forgotten. */
function createKeys(clock: Pick<Clock, 'now'>, maxKeys: number) {
  const expiries = new Map<string, number>()

  /** Every key is remembered for the same time, so those in front end first. */
  function forget(now: number): void {
    for (const [key, expiry] of expiries) {
      if (expiry > now) break
      expiries.delete(key)
    }
    dropOldest(expiries, maxKeys)
  }

  return {
    has: (key: string) => (expiries.get(key) ?? 0) > clock.now(),
    add(key: string, ms: number) {
      expiries.delete(key)
      expiries.set(key, clock.now() + ms)
      forget(clock.now())
    }
  }
}

function dropOldest(entries: Map<string, unknown>, keep: number): void {
  for (const key of entries.keys()) {
    if (entries.size <= keep) break
    entries.delete(key)
  }
}
