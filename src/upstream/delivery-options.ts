/** Options of the delivery of one durable queue to an upstream. */
import type { Clock } from '../clock.ts'
import type { Tracer } from '../http/tracer.ts'
import type { Store } from '../store/port.ts'
import type { DurableQueue, QueueDepth } from '../store/queue.ts'
import type { Upstream } from './upstreams.ts'

export type DeliveryResult = 'delivered' | 'retried' | 'dead' | 'duplicate' | 'full'

export interface DeliveryOptions {
  /** Name of the queue. */
  readonly name: string
  readonly store: Pick<Store, 'get' | 'setIfAbsent'> & { readonly queue: DurableQueue }
  readonly upstream: Upstream
  readonly path: string
  /** An event is dead when it is older. */
  readonly maxAgeMs: number
  readonly maxEvents: number
  readonly maxBytes: number
  /** Default: longer than a call. */
  readonly leaseMs?: number
  readonly clock: Clock
  /** A delivery belongs to the trace of the request that brought the event. */
  readonly tracer: Pick<Tracer, 'callsAfter'>
  readonly log: { warn(fields: object, message: string): void }
  readonly onResult: (result: DeliveryResult) => void
  readonly onDepth: (depth: QueueDepth) => void
}
