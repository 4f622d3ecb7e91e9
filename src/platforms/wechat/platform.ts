/** WeChat as a platform: every capability of the port. */
import { randomBytes } from 'node:crypto'
import type { Platform } from '../port.ts'
import { createWeChat, readPhone, type WeChatOptions } from './client.ts'
import { createEgress } from './egress.ts'
import { decryptOpenData, verifyRawData } from './open-data-cipher.ts'
import { createPay } from './pay/pay.ts'
import { checkPushUrl, readPush } from './push/message.ts'
import { replyToPush } from './push/reply.ts'
import { createQuotas } from './quotas.ts'
import { loginStateSignature, paySignature } from './signatures.ts'

export interface WeChatPlatformOptions extends WeChatOptions {
  /** URL of the pay API. */
  readonly payBase: string
  readonly payFallbackBase: string | null
}

export function createWeChatPlatform(options: WeChatPlatformOptions): Platform {
  const client = createWeChat({ ...options, onCall: (appId, path) => quotas.called(appId, path) })
  const quotas = createQuotas({ ask: client.quota, clock: options.clock })
  const egress = createEgress({ ...options, apiTokens: client.apiTokens, signer: client.signer })
  const pay = createPay(options)
  return {
    name: 'wechat',
    unionScope: 'wechat-open',
    ownsFormerKeys: true,
    login: client.login,
    openData: {
      decrypt: decryptOpenData,
      verify: verifyRawData,
      createSpareKey: () => randomBytes(16).toString('base64')
    },
    phone: { exchange: client.phoneNumber, read: readPhone },
    sessionKeys: { check: client.checkSession, reset: client.resetSession },
    signatures: { loginState: loginStateSignature, payment: paySignature },
    egress: {
      ...egress,
      forward(app, call) {
        quotas.called(app.appId, call.path)
        return egress.forward(app, call)
      }
    },
    quotas,
    channel: { userKeys: client.userKeys },
    push: { checkUrl: checkPushUrl, read: readPush, reply: replyToPush },
    pay,
    apiToken: client.apiTokens.state,
    async close() {
      await Promise.allSettled([client.close(), egress.close(), pay.close()])
    }
  }
}
