/** Signatures of WeChat Pay: those of the merchant, and those of the pay API.
 *  https://pay.weixin.qq.com/doc/v3/merchant/4012365342 */
import { createHash, createHmac, type KeyObject, sign, verify } from 'node:crypto'
import type { PaySignType } from '../../pay-port.ts'

/** SHA256withRSA with the padding of PKCS#1 v1.5. */
const ALGORITHM = 'RSA-SHA256'
const SCHEME = 'WECHATPAY2-SHA256-RSA2048'
/** An answer or a notice is signed at most this long before or after it arrives (milliseconds). */
export const PAY_WINDOW_MS = 5 * 60_000

/** In Base64. Runs outside of the event loop: it takes a millisecond. */
export function signText(text: string, key: KeyObject): Promise<string> {
  return new Promise((resolve, reject) => {
    sign(ALGORITHM, Buffer.from(text), key, (error, signature) => {
      if (error) reject(error)
      else resolve(signature.toString('base64'))
    })
  })
}

export interface Stamp {
  /** Whole seconds since the epoch. */
  readonly timestamp: string
  readonly nonce: string
}

/** Signed text of `wx.requestPayment` in API v3. `signType` is not part of it. */
export function paymentText(appId: string, { timestamp, nonce }: Stamp, packageText: string): string {
  return `${appId}\n${timestamp}\n${nonce}\n${packageText}\n`
}

/** `paySign` of API v2: the members in the order of their names, then the key. */
export function paySignV2(
  appId: string,
  { timestamp, nonce }: Stamp,
  packageText: string,
  { signType, key }: { readonly signType: Exclude<PaySignType, 'RSA'>; readonly key: string }
): string {
  const text = `appId=${appId}&nonceStr=${nonce}&package=${packageText}&signType=${signType}&timeStamp=${timestamp}&key=${key}`
  return signV2(text, signType, key)
}

/** @param text Ends in `&key=` and the key. */
export function signV2(text: string, signType: Exclude<PaySignType, 'RSA'>, key: string): string {
  const hash = signType === 'MD5' ? createHash('md5') : createHmac('sha256', key)
  return hash.update(text).digest('hex').toUpperCase()
}

/** Signed text of a call of the pay API.
 *  @param target Path and query. */
export function requestText(method: string, target: string, { timestamp, nonce }: Stamp, body: string): string {
  return `${method}\n${target}\n${timestamp}\n${nonce}\n${body}\n`
}

export interface Signer {
  readonly mchId: string
  readonly serialNo: string
}

/** Value of the header `Authorization`. */
export function authorization({ mchId, serialNo }: Signer, { timestamp, nonce }: Stamp, signature: string): string {
  const members = { mchid: mchId, nonce_str: nonce, timestamp, serial_no: serialNo, signature }
  const text = Object.entries(members).map(([name, value]) => `${name}="${value}"`)
  return `${SCHEME} ${text.join(',')}`
}

/** By name in lower case. */
export type SignedHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

export interface PlatformSignature extends Stamp {
  /** In upper case: of a platform certificate, or the id of a public key. */
  readonly serial: string
  readonly signature: Buffer
}

export const SERIAL = /^(?:PUB_KEY_ID_[0-9A-Z]{8,64}|[0-9A-F]{8,64})$/
/** The pay API tests receivers by a wrong signature that starts so; it expects a refusal. */
const TEST = 'WECHATPAY/SIGNTEST/'
/** Base64 of 256 to 1,024 bytes. */
const SIGNATURE = /^[A-Za-z0-9+/]{342,1368}={0,2}$/

/** The signature that the headers hold; the reason for a log when it cannot be valid. */
export function readSignature(headers: SignedHeaders, now: number): PlatformSignature | string {
  const [timestamp, nonce, serial, signature, type] = [
    'wechatpay-timestamp',
    'wechatpay-nonce',
    'wechatpay-serial',
    'wechatpay-signature',
    'wechatpay-signature-type'
  ].map((name) => headers[name])
  if (signature === undefined) return 'it has no signature'
  if (typeof signature === 'string' && signature.startsWith(TEST)) return 'a test of the signature check'
  if (typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp)) return 'it has no timestamp'
  if (Math.abs(Number(timestamp) * 1000 - now) > PAY_WINDOW_MS) return 'its timestamp is not within five minutes'
  if (typeof nonce !== 'string' || nonce.length > 128) return 'it has no nonce'
  if (typeof serial !== 'string' || !SERIAL.test(serial.toUpperCase())) return 'it has no serial number'
  if (typeof signature !== 'string' || !SIGNATURE.test(signature)) return 'its signature has the wrong form'
  if (type !== undefined && type !== SCHEME) return 'its signature has an unknown type'
  return { timestamp, nonce, serial: serial.toUpperCase(), signature: Buffer.from(signature, 'base64') }
}

/** @param body The bytes as they came. */
export function isSignedBy(key: KeyObject, { timestamp, nonce, signature }: PlatformSignature, body: Buffer): boolean {
  const text = Buffer.concat([Buffer.from(`${timestamp}\n${nonce}\n`), body, Buffer.from('\n')])
  return verify(ALGORITHM, text, key, signature)
}
