/** Encryption and signatures of message push.
 *  https://developers.weixin.qq.com/miniprogram/dev/framework/server-ability/message-push */
import { createCipheriv, createDecipheriv, createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** PKCS#7 with blocks of 32 bytes, which no option of OpenSSL does. */
const PADDING_BLOCK = 32
/** Random bytes at the start of a plaintext. */
const RANDOM_BYTES = 16
const LENGTH_BYTES = 4
/** AES has blocks of 16 bytes. */
const CIPHER_BLOCK = 16

export const ENCODING_AES_KEY = /^[A-Za-z0-9+/]{43}$/

/** SHA-1 in lower-case hex over the sorted parts. `signature` covers token, timestamp and nonce;
 *  `msg_signature` covers the encrypted text too. */
export function pushSignature(...parts: readonly string[]): string {
  return createHash('sha1')
    .update([...parts].sort().join(''))
    .digest('hex')
}

/** Compares in constant time. */
export function isPushSignature(given: string, ...parts: readonly string[]): boolean {
  const expected = Buffer.from(pushSignature(...parts))
  const actual = Buffer.from(given)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}

/** The message, or null when the text was not encrypted with this key for this app. The caller has
 *  verified `msg_signature`. */
export function decryptPush(encrypted: string, encodingAesKey: string, appId: string): string | null {
  const bytes = Buffer.from(encrypted, 'base64')
  if (bytes.length === 0 || bytes.length % CIPHER_BLOCK !== 0) return null
  const key = keyOf(encodingAesKey)
  const decipher = createDecipheriv('aes-256-cbc', key, key.subarray(0, CIPHER_BLOCK)).setAutoPadding(false)
  const plain = unpad(Buffer.concat([decipher.update(bytes), decipher.final()]))
  if (plain === null || plain.length < RANDOM_BYTES + LENGTH_BYTES) return null
  const start = RANDOM_BYTES + LENGTH_BYTES
  const end = start + plain.readUInt32BE(RANDOM_BYTES)
  if (end > plain.length || plain.toString('utf8', end) !== appId) return null
  return plain.toString('utf8', start, end)
}

/** @param random 16 bytes. */
export function encryptPush(
  message: string,
  encodingAesKey: string,
  appId: string,
  random: Buffer = randomBytes(RANDOM_BYTES)
): string {
  const text = Buffer.from(message)
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(text.length)
  const plain = Buffer.concat([random, length, text, Buffer.from(appId)])
  const missing = PADDING_BLOCK - (plain.length % PADDING_BLOCK)
  const key = keyOf(encodingAesKey)
  const cipher = createCipheriv('aes-256-cbc', key, key.subarray(0, CIPHER_BLOCK)).setAutoPadding(false)
  const padded = Buffer.concat([plain, Buffer.alloc(missing, missing)])
  return Buffer.concat([cipher.update(padded), cipher.final()]).toString('base64')
}

const keyOf = (encodingAesKey: string) => Buffer.from(`${encodingAesKey}=`, 'base64')

function unpad(padded: Buffer): Buffer | null {
  const missing = padded.at(-1) ?? 0
  if (missing < 1 || missing > PADDING_BLOCK || missing > padded.length) return null
  const end = padded.length - missing
  return padded.subarray(end).every((byte) => byte === missing) ? padded.subarray(0, end) : null
}
