/** The durable queue of one process. It ends with the process, like every record of the memory
 *  store. */
import type { Clock } from '../clock.ts'
import { type Claim, type DeadEvent, type DurableQueue, type NewEvent, type Settled, sizeOf } from './queue.ts'

interface MemoryEvent {
  readonly id: string
  readonly lane: string
  readonly value: string
  readonly enqueuedAt: number
  attempts: number
}

interface Lane {
  readonly events: MemoryEvent[]
  due: number
  lease: string
}

interface Queue {
  readonly lanes: Map<string, Lane>
  readonly dead: Map<string, DeadEvent>
  waiting: number
  bytes: number
}

const NO_LEASE = ''

export interface MemoryQueueOptions {
  readonly clock: Pick<Clock, 'monotonic' | 'now'>
  readonly remember: (key: string, ttl: number) => void
  readonly isKnown: (key: string) => boolean
}

export function createMemoryQueue({ clock, isKnown, remember }: MemoryQueueOptions): DurableQueue {
  const queues = new Map<string, Queue>()
  let lastId = 0
  let lastLease = 0

  function queueOf(name: string): Queue {
    let queue = queues.get(name)
    if (queue === undefined) {
      queue = { lanes: new Map(), dead: new Map(), waiting: 0, bytes: 0 }
      queues.set(name, queue)
    }
    return queue
  }

  function lease(lane: Lane, leaseMs: number): Claim | null {
    const [event] = lane.events
    if (event === undefined) return null
    lane.due = clock.monotonic() + leaseMs
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

  function free(queue: Queue, name: string, lane: Lane, due: number): void {
    lane.lease = NO_LEASE
    lane.due = due
    if (lane.events.length === 0) queue.lanes.delete(name)
  }

  function takeFirst({ queue, lane }: { queue: Queue; lane: Lane }, claim: Claim): Settled {
    lane.events.shift()
    queue.waiting--
    queue.bytes -= sizeOf(claim)
    free(queue, claim.lane, lane, clock.monotonic())
    return lane.events.length > 0 ? 'more' : 'empty'
  }

  function place(queue: Queue, event: MemoryEvent): Lane {
    let lane = queue.lanes.get(event.lane)
    if (lane === undefined) {
      lane = { events: [], due: clock.monotonic(), lease: NO_LEASE }
      queue.lanes.set(event.lane, lane)
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
      const key = `seen:${name}:${event.key}`
      if (isKnown(key)) return { outcome: 'known' }
      const queue = queueOf(name)
      if (queue.waiting >= maxEvents || queue.bytes + sizeOf(event) > maxBytes) return { outcome: 'full' }
      remember(key, rememberMs)
      const id = String(++lastId)
      const isIdle = !queue.lanes.has(event.lane)
      const { lane, value } = event
      const placed = place(queue, { id, lane, value, enqueuedAt: clock.now(), attempts: 0 })
      const isPaused = placed.lease === NO_LEASE && placed.due > clock.monotonic()
      return { outcome: 'added', id, claim: isIdle ? lease(placed, leaseMs) : null, isPaused }
    },
    async claim(name, count, leaseMs) {
      const now = clock.monotonic()
      return [...queueOf(name).lanes.values()]
        .filter(({ due }) => due <= now)
        .sort((a, b) => a.due - b.due)
        .slice(0, count)
        .flatMap((lane) => lease(lane, leaseMs) ?? [])
    },
    async done(name, claim) {
      const found = leased(name, claim)
      return found === null ? 'lost' : takeFirst(found, claim)
    },
    async release(name, claim, delayMs) {
      const found = leased(name, claim)
      if (found !== null) free(found.queue, claim.lane, found.lane, clock.monotonic() + delayMs)
      return found !== null
    },
    async bury(name, claim, reason, keep) {
      const found = leased(name, claim)
      if (found === null) return 'lost'
      const settled = takeFirst(found, claim)
      const { id, lane, value, enqueuedAt } = claim
      const { dead } = found.queue
      dead.set(id, { id, lane, value, enqueuedAt, diedAt: clock.now(), reason })
      for (const oldest of [...dead.keys()].slice(0, Math.max(0, dead.size - keep))) dead.delete(oldest)
      return settled
    },
    isKnown: async (name, key) => isKnown(`seen:${name}:${key}`),
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
