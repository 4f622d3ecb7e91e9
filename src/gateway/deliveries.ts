/** Deliveries of a configuration: each serves one queue, and survives a reload that does not change
 *  it. */
import type { AppConfig } from '../config/config.ts'
import { createDelivery, type Delivery, type DeliveryOptions } from '../upstream/delivery.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

type PushConfig = NonNullable<AppConfig['push']>

export interface QueueConfig
  extends Pick<PushConfig, 'upstream' | 'path' | 'retry'>,
    Pick<DeliveryOptions, 'name' | 'onResult' | 'onDepth'> {}

/** The delivery does not start by itself: two configurations never take events out of one queue. */
export function borrowDelivery(
  { store, clock, log }: Shared,
  { borrow }: Borrower,
  upstreams: Upstreams,
  { name, upstream, path, retry, onResult, onDepth }: QueueConfig
): Promise<Delivery> {
  return borrow(
    'delivery',
    [name, upstream, path, retry, upstreams],
    () =>
      createDelivery({
        name,
        store,
        upstream: upstreams.get(upstream),
        path,
        maxAgeMs: retry.maxAge,
        maxEvents: retry.backlog,
        maxBytes: retry.backlogBytes,
        clock,
        log,
        onResult,
        onDepth
      }),
    (part) => part.stop()
  )
}

/** Hands the queues over to the deliveries of the next configuration. Calls in progress end. */
export function startDeliveries(next: readonly Delivery[], before: readonly Delivery[] = []): void {
  for (const delivery of before) if (!next.includes(delivery)) void delivery.stop()
  for (const delivery of next) delivery.start()
}
