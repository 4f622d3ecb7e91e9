/** Asks the pay API whether a merchant's keys work, by one signed call for the platform
 *  certificates. https://pay.weixin.qq.com/doc/v3/merchant/4012551764 */
import { createPublicKey, type KeyObject } from 'node:crypto'
import type { PayMerchant } from '../../pay-port.ts'
import { type SentAnswer, TransportFailure } from '../send-once.ts'
import { createPayApi, type PayApiOptions } from './api.ts'
import { parseObject } from './json-object.ts'
import { readCertificates } from './platform-keys.ts'
import { isSignedBy, readSignature } from './signing.ts'

/** A probe in words for an operator; no text holds a secret. `unknown`: no answer. */
export type MerchantVerdict =
  | { readonly state: 'ok'; readonly message: string }
  | { readonly state: 'refused' | 'unknown'; readonly problem: string; readonly advice: string }

const CERTIFICATES = { method: 'GET', target: '/v3/certificates', body: '' } as const
/** Codes for a merchant without platform certificates. Its signature was accepted. */
const WITHOUT_CERTIFICATES: ReadonlySet<string> = new Set(['RESOURCE_NOT_EXISTS', 'NO_AUTH'])
const SECURITY_PAGE = 'pay.weixin.qq.com, account centre, API security'

/** Settles within the timeout, with a verdict in every case. */
export async function judgeMerchant(
  options: Omit<PayApiOptions, 'log'>,
  merchant: PayMerchant
): Promise<MerchantVerdict> {
  const api = createPayApi({ ...options, log: { warn() {} } })
  try {
    return judge(merchant, await api.call(merchant, CERTIFICATES), options.clock.now())
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    const reason = cause instanceof TransportFailure ? cause.reason : 'the call could not be made'
    return {
      state: 'unknown',
      problem: `${new URL(options.payBase).origin} gives no valid answer (${reason})`,
      advice: 'let this machine connect to it: DNS, firewall, outbound proxy (wechat.proxy)'
    }
  } finally {
    await api.close()
  }
}

function judge(merchant: PayMerchant, answer: SentAnswer, now: number): MerchantVerdict {
  const { platformKeys } = merchant
  const json = parseObject(answer.body)
  if (answer.status !== 200) {
    const code = typeof json?.code === 'string' ? json.code.slice(0, 64) : `status ${answer.status}`
    if (!WITHOUT_CERTIFICATES.has(code)) return refusal(code)
    if (platformKeys.length > 0) return { state: 'ok', message: 'the pay API accepts its signature' }
    return refused(
      'it has no platform certificates',
      `add its public key of WeChat Pay to platformKeys: ${SECURITY_PAGE}`
    )
  }
  const certificates = certificatesOf(json, merchant.apiV3Key)
  if (certificates === null)
    return refused('its platform certificates do not decrypt', `compare apiV3Key: ${SECURITY_PAGE}`)
  const fault = signatureFault(merchant, certificates, answer, now)
  if (fault !== null) return fault
  const message = 'the pay API accepts its signature, and its answer is verified'
  if (platformKeys.length > 0) return { state: 'ok', message }
  const until = Math.max(...[...certificates.values()].map(({ to }) => to))
  return {
    state: 'ok',
    message: `${message}; platform certificates until ${new Date(until).toISOString().slice(0, 10)}`
  }
}

function refusal(code: string): MerchantVerdict {
  if (code !== 'SIGN_ERROR')
    return refused(`the pay API answers ${code}`, 'look the code up in the documents of WeChat Pay')
  return refused(
    'the pay API refuses its signature (SIGN_ERROR)',
    'compare mchid; check that serialNo and privateKey belong together (openssl x509 -noout -serial -in apiclient_cert.pem), and the clock'
  )
}

/** Null for an answer that a configured key or a platform certificate verifies. */
function signatureFault(
  { platformKeys }: PayMerchant,
  certificates: ReadonlyMap<string, { readonly key: KeyObject }>,
  { headers, body }: SentAnswer,
  now: number
): MerchantVerdict | null {
  const signature = readSignature(headers, now)
  if (typeof signature === 'string') return refused(`the answer is not verified: ${signature}`, 'check the clock (NTP)')
  const configured = platformKeys.find(({ serial }) => serial === signature.serial)
  const key = configured ? createPublicKey(configured.publicKey) : certificates.get(signature.serial)?.key
  if (key !== undefined && isSignedBy(key, signature, body)) return null
  return refused(
    'its answer is signed with a key that platformKeys does not hold',
    `copy key and id again: ${SECURITY_PAGE}`
  )
}

function refused(problem: string, advice: string): MerchantVerdict {
  return { state: 'refused', problem, advice }
}

function certificatesOf(json: unknown, apiV3Key: string) {
  try {
    return readCertificates(json, apiV3Key)
  } catch {
    return null
  }
}
