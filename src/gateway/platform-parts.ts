/** The platforms of the configured apps. */
import type { GatewayConfig } from '../config/config.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { createSealer } from '../crypto/sealer.ts'
import { createPlatforms, type Platforms } from '../platforms/registry.ts'
import { createWeChatPlatform } from '../platforms/wechat/platform.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

export async function borrowPlatforms(
  config: GatewayConfig,
  { store, clock, log, wechatUrl, lookup, tracer }: Shared,
  { borrow }: Borrower,
  keyRing: KeyRing
): Promise<Platforms> {
  const appIds = config.apps.map((app) => app.appId)
  const { timeout, fallbackBase, payFallbackBase, proxy } = config.wechat
  const payBase = config.wechat.payBase === 'sandbox' ? wechatUrl : config.wechat.payBase
  const address = { apiBase: wechatUrl, fallbackBase, payBase, payFallbackBase, proxy }
  const wechat = await borrow(
    'wechat',
    [keyRing, address, timeout],
    () => {
      const sealer = createSealer(keyRing, 'wechat-tokens')
      const sealToken = {
        seal: (text: string, aad: string) => sealer.seal(text, aad),
        open: (text: string, aad: string) => sealer.open(text, aad)?.text ?? null
      }
      return createWeChatPlatform({ ...address, timeout, lookup, store, clock, log, tracer, sealToken })
    },
    (part) => part.close()
  )
  return borrow('platforms', [wechat, appIds], () => createPlatforms(new Map(appIds.map((appId) => [appId, wechat]))))
}
