/** The deliveries of message push: one for each app that has it. */
import type { GatewayConfig } from '../config/config.ts'
import { createDelivery, type Delivery } from '../upstream/delivery.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

export type PushParts = Awaited<ReturnType<typeof borrowDeliveries>>

export async function borrowDeliveries(
  config: GatewayConfig,
  { store, clock, log, metrics }: Shared,
  { borrow }: Borrower,
  upstreams: Upstreams
) {
  const deliveries = new Map<string, Delivery>()
  for (const { appId, push } of config.apps) {
    if (push === null) continue
    const { upstream, path, retry } = push
    const delivery = await borrow(
      'delivery',
      [appId, upstream, path, retry, upstreams],
      () =>
        createDelivery({
          name: `push:${appId}`,
          store,
          upstream: upstreams.get(upstream),
          path,
          maxAgeMs: retry.maxAge,
          maxEvents: retry.backlog,
          maxBytes: retry.backlogBytes,
          clock,
          log,
          onResult: (result) => metrics.pushDone(appId, result),
          onDepth: (depth) => metrics.pushDepth(appId, depth)
        }),
      (part) => part.stop()
    )
    deliveries.set(appId, delivery)
  }
  return { deliveries }
}
