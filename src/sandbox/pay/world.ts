/** The state of the sandbox's pay API. */
import type { PayWorld } from './endpoints.ts'
import { createMerchants, type SandboxMerchant } from './merchants.ts'
import { createOrders } from './orders.ts'
import { createPlatform } from './platform.ts'

/** @param merchants Known from the start; `clear` keeps them. */
export function createPayWorld(now: () => number, merchants: readonly SandboxMerchant[]): PayWorld & { clear(): void } {
  const world: PayWorld = {
    merchants: createMerchants(now, merchants),
    orders: createOrders(),
    platform: createPlatform({ now }),
    answerFaults: [],
    now
  }
  return {
    ...world,
    clear() {
      for (const part of [world.merchants, world.orders, world.platform]) part.clear()
      for (const merchant of merchants) world.merchants.register(merchant)
      world.answerFaults.length = 0
    }
  }
}
