/** Calls of the pay API: each is signed by the merchant. */
import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto'
import type { LookupFunction } from 'node:net'
import type { Clock } from '../../../clock.ts'
import { ApiError } from '../../../errors.ts'
import type { Tracer } from '../../../http/tracer.ts'
import type { Log } from '../../../telemetry/log.ts'
import type { PayCall, PayMerchant } from '../../pay-port.ts'
import { type Base, createBases, type WeChatAddress } from '../bases.ts'
import { isUnsent, type SendLimits, type SentAnswer, sendOnce, TransportFailure } from '../send-once.ts'
import { authorization, requestText, type Stamp, signText } from './signing.ts'

const CONNECTIONS = 128
/** Further calls are refused at once: while the pay API hangs, a queue would only delay the
 *  failure. */
const MAX_IN_FLIGHT = 1024
const MAX_ANSWER_BYTES = 1024 * 1024

export interface PayApiOptions extends Pick<WeChatAddress, 'proxy'> {
  /** A URL; its path is put in front of every call. */
  readonly payBase: string
  readonly payFallbackBase: string | null
  /** Milliseconds for a whole call, from connecting to the last byte. */
  readonly timeout: number
  /** Resolves the names of the bases or of the proxy. */
  readonly lookup: LookupFunction
  readonly clock: Pick<Clock, 'now'>
  readonly log: Pick<Log, 'warn'>
  readonly tracer?: Pick<Tracer, 'calls'>
}

export interface PayApi {
  /** Signs with the key of the merchant; in Base64. */
  sign(merchant: PayMerchant, text: string): Promise<string>
  /** The time and a random text for a signature. */
  stamp(): Stamp
  /** Sends at most once: only a connection that failed to open is tried again. Returns the answer
   *  whatever its status; throws an ApiError without one. */
  call(merchant: PayMerchant, call: PayCall): Promise<SentAnswer>
  close(): Promise<void>
}

export function createPayApi(options: PayApiOptions): PayApi {
  const { payBase, payFallbackBase, proxy, timeout, lookup, clock, log, tracer } = options
  const bases = createBases({
    apiBase: payBase,
    fallbackBase: payFallbackBase,
    proxy,
    lookup,
    log,
    ...(tracer ? { tracer } : {}),
    // Leaves room for the second try inside the deadline.
    connectTimeoutMs: Math.max(100, Math.floor(timeout * 0.4)),
    pool: { connections: CONNECTIONS, headersTimeout: 0, bodyTimeout: 0 }
  })
  const keys = new WeakMap<PayMerchant, KeyObject>()
  let inFlight = 0

  function keyOf(merchant: PayMerchant): KeyObject {
    const known = keys.get(merchant)
    if (known !== undefined) return known
    const key = createPrivateKey(merchant.privateKey)
    keys.set(merchant, key)
    return key
  }

  const sign = (merchant: PayMerchant, text: string) => signText(text, keyOf(merchant))

  const stamp = (): Stamp => ({
    timestamp: String(Math.floor(clock.now() / 1000)),
    nonce: randomBytes(16).toString('hex').toUpperCase()
  })

  /** The signature covers the path of the base. */
  async function send(base: Base, merchant: PayMerchant, call: PayCall, limits: SendLimits): Promise<SentAnswer> {
    const { method, target, body } = call
    const path = base.path + target
    const moment = stamp()
    const signature = await sign(merchant, requestText(method, path, moment, body))
    const [first] = merchant.platformKeys
    const headers: Record<string, string> = {
      accept: 'application/json',
      'user-agent': 'wxgate',
      authorization: authorization(merchant, moment, signature),
      // The key that the pay API is to sign with, while a merchant has two kinds.
      ...(first === undefined ? {} : { 'wechatpay-serial': first.serial }),
      ...(body === '' ? {} : { 'content-type': 'application/json' })
    }
    return sendOnce(base.pool, { method, path, headers, ...(body === '' ? {} : { body }) }, limits)
  }

  return {
    sign,
    stamp,

    async call(merchant, call) {
      const limits = { deadline: performance.now() + timeout, maxBytes: MAX_ANSWER_BYTES }
      inFlight += 1
      try {
        if (inFlight > MAX_IN_FLIGHT) throw new TransportFailure('overloaded', false)
        // Once a byte was written, the call may have taken effect.
        const named = { method: call.method, path: pathOf(call.target) }
        return await bases.reach((base) => send(base, merchant, call, limits), isUnsent, limits.deadline, named)
      } catch (error) {
        const failure = error instanceof TransportFailure ? error : new TransportFailure('internal', true)
        const { reason, wasSent } = failure
        const about = { mchid: merchant.mchId, call: pathOf(call.target), reason, wasSent }
        log.warn(about, 'the pay API gave no valid answer')
        throw unavailable(failure)
      } finally {
        inFlight -= 1
      }
    },

    close: () => bases.close()
  }
}

/** Without the query, which can hold ids of users. */
export function pathOf(target: string): string {
  return target.split('?', 1)[0] ?? ''
}

function unavailable(failure: TransportFailure): ApiError {
  const effect = failure.wasSent
    ? 'The call may have taken effect: repeat it with the same out_trade_no, or ask for the order.'
    : 'The call was not sent.'
  return new ApiError('wechat_unavailable', `The pay API gave no valid answer. ${effect}`, { cause: failure })
}
