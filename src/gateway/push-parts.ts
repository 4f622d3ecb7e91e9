/** The deliveries of message push: one for each app that has it. */
import type { GatewayConfig } from '../config/config.ts'
import type { Delivery } from '../upstream/delivery.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import { borrowDelivery } from './deliveries.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

/** By appid. */
export async function borrowPushDeliveries(
  config: GatewayConfig,
  shared: Shared,
  borrower: Borrower,
  upstreams: Upstreams
): Promise<ReadonlyMap<string, Delivery>> {
  const { metrics } = shared
  const deliveries = new Map<string, Delivery>()
  for (const { appId, push } of config.apps) {
    if (push === null) continue
    const delivery = await borrowDelivery(shared, borrower, upstreams, {
      name: `push:${appId}`,
      ...push,
      onResult: (result) => metrics.pushDone(appId, result),
      onDepth: (depth) => metrics.pushDepth(appId, depth)
    })
    deliveries.set(appId, delivery)
  }
  return deliveries
}
