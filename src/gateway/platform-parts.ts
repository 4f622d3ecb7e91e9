/** The platforms of the configured apps, and what reads data that a platform encrypted. */
import type { GatewayConfig } from '../config/config.ts'
import { createSealer } from '../crypto/sealer.ts'
import { createOpenDataReader } from '../identity/open-data-reader.ts'
import { createPlatforms } from '../platforms/registry.ts'
import { createWeChatPlatform } from '../platforms/wechat/platform.ts'
import type { IdentityParts } from './identity-parts.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

export type PlatformParts = Awaited<ReturnType<typeof borrowPlatforms>>

export async function borrowPlatforms(
  config: GatewayConfig,
  { store, clock, log, wechatUrl, lookup }: Shared,
  { borrow }: Borrower,
  { keyRing, sessionKeys }: Pick<IdentityParts, 'keyRing' | 'sessionKeys'>
) {
  const appIds = config.apps.map((app) => app.appId)
  const { timeout } = config.wechat
  const wechat = await borrow(
    'wechat',
    [keyRing, wechatUrl, timeout],
    () => {
      const sealer = createSealer(keyRing, 'wechat-tokens')
      const sealToken = {
        seal: (text: string, aad: string) => sealer.seal(text, aad),
        open: (text: string, aad: string) => sealer.open(text, aad)?.text ?? null
      }
      return createWeChatPlatform({ apiBase: wechatUrl, timeout, lookup, store, clock, log, sealToken })
    },
    (part) => part.close()
  )
  const platforms = await borrow('platforms', [wechat, appIds], () =>
    createPlatforms(new Map(appIds.map((appId) => [appId, wechat])))
  )
  const openData = await borrow('open-data', [sessionKeys, platforms], () =>
    createOpenDataReader({ sessionKeys, openDataOf: (appId) => platforms.require(appId, 'openData'), clock })
  )
  return { platforms, openData }
}
