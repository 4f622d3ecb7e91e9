/** The wire format of API signatures (服务端 API 签名加密): AES-256-GCM for the body, RSASSA-PSS with
 *  SHA-256 and a salt of 32 bytes for the signature. */
import { constants, createCipheriv, createDecipheriv, type KeyObject, sign, verify } from 'node:crypto'

/** Part of what is authenticated and signed, whatever base the call goes to. */
const ORIGIN = 'https://api.weixin.qq.com'
export const IV_BYTES = 12
const TAG_BYTES = 16
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }

export interface SymmetricKey {
  /** 32 bytes. */
  readonly key: Buffer
  /** Its number in the console. */
  readonly sn: string
}

/** Binds an envelope to one call. */
export interface Binding {
  /** Starts with `/`, without a query. */
  readonly path: string
  readonly appId: string
  /** Seconds since the epoch, as the header has them. */
  readonly timestamp: string
}

export function encryptBody(text: string, { key, sn }: SymmetricKey, binding: Binding, iv: Buffer): string {
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(additionalData(binding, sn))
  const data = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  const base64 = (bytes: Buffer) => bytes.toString('base64')
  return JSON.stringify({ iv: base64(iv), data: base64(data), authtag: base64(cipher.getAuthTag()) })
}

/** Null for a body that was not encrypted with this key for this call. */
export function decryptBody(body: string, { key, sn }: SymmetricKey, binding: Binding): string | null {
  try {
    const envelope = JSON.parse(body) as Partial<Record<'iv' | 'data' | 'authtag', unknown>>
    const [iv, data, tag] = [envelope.iv, envelope.data, envelope.authtag].map((text) =>
      Buffer.from(typeof text === 'string' ? text : '', 'base64')
    )
    if (iv?.length !== IV_BYTES || data === undefined || tag?.length !== TAG_BYTES) return null
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
    decipher.setAAD(additionalData(binding, sn))
    decipher.setAuthTag(tag)
    return Buffer.concat([decipher.update(data), decipher.final()]).toString('utf8')
  } catch {
    return null
  }
}

export function signBody(body: Buffer, binding: Binding, privateKey: KeyObject): string {
  return sign('sha256', signedBytes(body, binding), { key: privateKey, ...PSS }).toString('base64')
}

export function isSignedBody(body: Buffer, binding: Binding, signature: string, publicKey: KeyObject): boolean {
  return verify('sha256', signedBytes(body, binding), { key: publicKey, ...PSS }, Buffer.from(signature, 'base64'))
}

function signedBytes(body: Buffer, { path, appId, timestamp }: Binding): Buffer {
  return Buffer.concat([Buffer.from(`${ORIGIN}${path}\n${appId}\n${timestamp}\n`), body])
}

function additionalData({ path, appId, timestamp }: Binding, sn: string): Buffer {
  return Buffer.from(`${ORIGIN}${path}|${appId}|${timestamp}|${sn}`)
}
