/** WeChat Pay as a capability of the platform: parameters of a payment, calls of the pay API, and
 *  its notices. */
import { ApiError } from '../../../errors.ts'
import type { Log } from '../../../telemetry/log.ts'
import type { PayAnswer, PayCapability, PayMerchant, PayParams } from '../../pay-port.ts'
import type { SentAnswer } from '../send-once.ts'
import { createPayApi, type PayApiOptions, pathOf } from './api.ts'
import { parseObject } from './json-object.ts'
import { openNotice } from './notice.ts'
import { judgeTarget } from './paths.ts'
import { createPlatformKeys } from './platform-keys.ts'
import { isSignedBy, paymentText, paySignV2, readSignature } from './signing.ts'

export interface PayOptions extends PayApiOptions {
  readonly clock: PayApiOptions['clock'] & { monotonic(): number }
  readonly log: Log
}

const CERTIFICATES = '/v3/certificates'
const UNVERIFIED = new ApiError(
  'upstream_invalid',
  'The answer is not signed by WeChat Pay. The call may have taken effect: ask for the order before anything else.'
)
const NO_V2_KEY = new ApiError('invalid_request', 'MD5 and HMAC-SHA256 need apps[].pay.apiKey, the key of API v2.')

export function createPay(options: PayOptions): PayCapability & { close(): Promise<void> } {
  const { clock, log } = options
  const api = createPayApi(options)
  const keys = createPlatformKeys({ fetchCertificates, clock, log })

  async function fetchCertificates(merchant: PayMerchant): Promise<unknown> {
    const { status, body } = await api.call(merchant, { method: 'GET', target: CERTIFICATES, body: '' })
    const answer = parseObject(body)
    if (status === 200) return answer
    const code = typeof answer?.code === 'string' ? answer.code.slice(0, 64) : `status ${status}`
    throw new ApiError(
      'wechat_misconfigured',
      `The pay API refuses to give its certificates: ${code}. ${hintFor(code)}`
    )
  }

  /** Null for bytes that WeChat Pay signed for this merchant within the last five minutes; else the
   *  reason for a log. */
  async function signatureFault(
    merchant: PayMerchant,
    headers: SentAnswer['headers'],
    body: Buffer
  ): Promise<string | null> {
    const signature = readSignature(headers, clock.now())
    if (typeof signature === 'string') return signature
    const key = await keys.find(merchant, signature.serial)
    if (key === null) return 'its serial number is unknown'
    return isSignedBy(key, signature, body) ? null : 'its signature does not match'
  }

  return {
    async params(appId, merchant, prepayId, signType): Promise<PayParams> {
      const stamp = api.stamp()
      const packageText = `prepay_id=${prepayId}`
      const { apiV2Key } = merchant
      if (signType !== 'RSA' && apiV2Key === null) throw NO_V2_KEY
      const paySign =
        signType === 'RSA' || apiV2Key === null
          ? await api.sign(merchant, paymentText(appId, stamp, packageText))
          : paySignV2(appId, stamp, packageText, { signType, key: apiV2Key })
      return { timeStamp: stamp.timestamp, nonceStr: stamp.nonce, package: packageText, signType, paySign }
    },

    judge: judgeTarget,
    certificates: keys.certificates,

    async request(merchant, call): Promise<PayAnswer> {
      // Comes first, so that nothing is sent whose answer cannot be verified.
      await keys.prepare(merchant)
      const { status, headers, body } = await api.call(merchant, call)
      const isUnsigned = headers['wechatpay-signature'] === undefined
      // The pay API does not sign every refusal, and WeChat's SDKs verify none.
      const fault = isUnsigned && status >= 400 ? null : await signatureFault(merchant, headers, body)
      if (fault === null) return { status, contentType: textOf(headers['content-type']), body }
      const path = pathOf(call.target)
      const fields = { event: 'pay_unverified', mchid: merchant.mchId, call: path, status, reason: fault }
      log.error(fields, 'an answer of the pay API is not verified')
      throw UNVERIFIED
    },

    async readNotice(appId, merchant, headers, body) {
      const signature = readSignature(headers, clock.now())
      if (typeof signature === 'string') return signature
      // The encryption proves the key of the merchant, so that no other sender can cause a fetch of
      // certificates.
      const notice = openNotice(body, appId, merchant)
      if (typeof notice === 'string') return notice
      return (await signatureFault(merchant, headers, body)) ?? notice
    },

    close: () => api.close()
  }
}

function textOf(header: string | readonly string[] | undefined): string | null {
  return typeof header === 'string' ? header : null
}

function hintFor(code: string): string {
  if (code === 'SIGN_ERROR') return 'Check serialNo and privateKey in apps[].pay, and the clock.'
  if (code === 'RESOURCE_NOT_EXISTS' || code === 'NO_AUTH')
    return 'A merchant without platform certificates needs apps[].pay.platformKeys.'
  return 'Check apps[].pay.'
}
