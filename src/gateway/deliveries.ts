/** Deliveries of a configuration: each serves one queue, and survives a reload that does not change
 *  it. */
import type { GatewayConfig } from '../config/config.ts'
import { createDelivery, type Delivery } from '../upstream/delivery.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

/** Events of message push, or notices of the pay API. */
export type DeliveryKind = 'push' | 'pay'

/** One delivery for each app that has the kind, by appid. They do not start by themselves: two
 *  configurations never take events out of one queue. */
export async function borrowDeliveries(
  { apps }: GatewayConfig,
  { store, clock, log, metrics, tracer }: Shared,
  { borrow }: Borrower,
  upstreams: Upstreams,
  kind: DeliveryKind
): Promise<ReadonlyMap<string, Delivery>> {
  const { done, depth } = {
    push: { done: metrics.pushDone, depth: metrics.pushDepth },
    pay: { done: metrics.payNoticeDone, depth: metrics.payDepth }
  }[kind]
  const deliveries = new Map<string, Delivery>()
  for (const { appId, [kind]: settings } of apps) {
    if (settings === null) continue
    const { upstream, path, retry } = settings
    const name = `${kind}:${appId}`
    const create = () =>
      createDelivery({
        ...{ name, store, upstream: upstreams.get(upstream), path, clock, log, tracer },
        ...{ maxAgeMs: retry.maxAge, maxEvents: retry.backlog, maxBytes: retry.backlogBytes },
        onResult: (result) => done(appId, result),
        onDepth: (now) => depth(appId, now)
      })
    const delivery = await borrow('delivery', [name, upstream, path, retry, upstreams], create, (part) => part.stop())
    deliveries.set(appId, delivery)
  }
  return deliveries
}

/** Hands the queues over to the deliveries of the next configuration. Calls in progress end. */
export function startDeliveries(next: readonly Delivery[], before: readonly Delivery[] = []): void {
  for (const delivery of before) if (!next.includes(delivery)) void delivery.stop()
  for (const delivery of next) delivery.start()
}
