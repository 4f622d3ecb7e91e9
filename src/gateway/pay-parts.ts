/** The deliveries of notices of the pay API: one for each app that has a merchant. */
import type { GatewayConfig } from '../config/config.ts'
import type { Delivery } from '../upstream/delivery.ts'
import type { Upstreams } from '../upstream/upstreams.ts'
import { borrowDelivery } from './deliveries.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

/** By appid. */
export async function borrowPayDeliveries(
  config: GatewayConfig,
  shared: Shared,
  borrower: Borrower,
  upstreams: Upstreams
): Promise<ReadonlyMap<string, Delivery>> {
  const { metrics } = shared
  const deliveries = new Map<string, Delivery>()
  for (const { appId, pay } of config.apps) {
    if (pay === null) continue
    const { upstream, path, retry } = pay
    const delivery = await borrowDelivery(shared, borrower, upstreams, {
      name: `pay:${appId}`,
      upstream,
      path,
      retry,
      onResult: (result) => metrics.payNoticeDone(appId, result),
      onDepth: (depth) => metrics.payDepth(appId, depth)
    })
    deliveries.set(appId, delivery)
  }
  return deliveries
}
