/** Encrypted parts of notices and of the list of platform certificates: AEAD_AES_256_GCM.
 *  https://pay.weixin.qq.com/doc/v3/merchant/4012071382 */
import { type CipherGCMTypes, createDecipheriv } from 'node:crypto'

const ALGORITHM = 'AEAD_AES_256_GCM'
const TAG_BYTES = 16
const NONCE_BYTES = 12

/** The plaintext, or null for anything that was not encrypted with this key.
 *  @param apiV3Key Its bytes are the key. */
export function decryptResource(resource: unknown, apiV3Key: string): Buffer | null {
  if (typeof resource !== 'object' || resource === null) return null
  const { algorithm = ALGORITHM, ciphertext, nonce, associated_data: more = '' } = resource as Record<string, unknown>
  if (algorithm !== ALGORITHM || typeof ciphertext !== 'string' || typeof nonce !== 'string') return null
  // Some notices hold null in place of an empty text.
  if (typeof more !== 'string' && more !== null) return null
  const sealed = Buffer.from(ciphertext, 'base64')
  const iv = Buffer.from(nonce)
  const key = Buffer.from(apiV3Key)
  if (sealed.length < TAG_BYTES || iv.length !== NONCE_BYTES) return null
  const decipher = createDecipheriv(`aes-${key.length * 8}-gcm` as CipherGCMTypes, key, iv)
  decipher.setAAD(Buffer.from(more ?? ''))
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch {
    return null
  }
}
