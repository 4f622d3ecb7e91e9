/** Asks wx for the user's key of the encrypted channel, and for random bytes. */
import { fromBase64, isBytes } from './bytes'
import { createError, type WxgateError } from './errors'
import type { Wx, WxFailure, WxUserCrypto, WxUserKey } from './wx'
import { callWx } from './wx-call'

const TIMEOUT_MS = 10_000
/** WeChat makes a new version every hour; the gateway accepts the former one for a while. */
const KEEP_MS = 5 * 60_000

export interface UserKey {
  /** 16 bytes. */
  readonly key: Uint8Array
  readonly version: number
}

export interface UserKeys {
  /** Rejects with `channel_unavailable`.
   *  @param isFresh Asks wx again. */
  latest(isFresh: boolean): Promise<UserKey>
  /** Sixteen bytes for a nonce. */
  random(): Promise<Uint8Array>
}

export function createUserKeys(wx: Wx): UserKeys {
  let kept: { readonly at: number; readonly key: Promise<UserKey> } | null = null

  function crypto(): WxUserCrypto {
    const manager = wx.getUserCryptoManager?.()
    if (!manager) throw unavailable('This base library has no encrypted channel. It needs 2.17.3, outside plugins.')
    return manager
  }

  async function ask(): Promise<UserKey> {
    const manager = crypto()
    const { encryptKey, version } = await callWx<WxUserKey>({
      name: 'getLatestUserKey',
      timeoutMs: TIMEOUT_MS,
      start: (callbacks) => manager.getLatestUserKey(callbacks)
    }).catch(refuse)
    const key = fromBase64(String(encryptKey))
    if (key?.length !== 16 || typeof version !== 'number') throw unavailable('WeChat gave no valid key.')
    return { key, version }
  }

  return {
    latest(isFresh) {
      const now = Date.now()
      if (kept && !isFresh && now >= kept.at && now < kept.at + KEEP_MS) return kept.key
      const own = { at: now, key: ask() }
      kept = own
      own.key.catch(() => {
        if (kept === own) kept = null
      })
      return own.key
    },

    async random() {
      const manager = crypto()
      const { randomValues } = await callWx<{ randomValues: ArrayBuffer }>({
        name: 'getRandomValues',
        timeoutMs: TIMEOUT_MS,
        start: (callbacks) => manager.getRandomValues({ length: 16, ...callbacks })
      }).catch(refuse)
      if (!isBytes(randomValues) || randomValues.byteLength !== 16) throw unavailable('wx gave no random bytes.')
      return new Uint8Array(randomValues)
    }
  }
}

function refuse(failure: WxFailure): never {
  throw createError({ code: 'channel_unavailable', detail: 'WeChat gave no key.', errMsg: failure.errMsg })
}

function unavailable(detail: string): WxgateError {
  return createError({ code: 'channel_unavailable', detail })
}
