/** Decrypts WeChat's `encryptedData` and checks the signature of `rawData`. */
import { createDecipheriv, createHash, timingSafeEqual } from 'node:crypto'
import { MAX_OPEN_DATA, type OpenData } from '../port.ts'

const BLOCK = 16
const DEFAULT_MAX_AGE = 60 * 60 * 1000
/** Milliseconds by which WeChat's clock may be ahead. */
const CLOCK_SKEW = 5 * 60 * 1000
const BASE64_16_BYTES = /^[A-Za-z0-9+/]{21}[AQgw]==$/
const NOTHING = 'AAAAAAAAAAAAAAAAAAAAAA=='
const ONE_BLOCK = Buffer.alloc(BLOCK)

export interface OpenDataInput {
  /** base64 text as WeChat sent it. */
  readonly sessionKey: string
  readonly encryptedData: string
  readonly iv: string
  /** The watermark must name this mini-program. */
  readonly appId: string
  /** Data that names a user must name this one. */
  readonly openId?: string
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Milliseconds since the watermark. The default is one hour; Infinity accepts any age. */
  readonly maxAge?: number
}

/** True for base64 of 16 bytes, the form of a session_key. */
export function isSessionKey(value: unknown): value is string {
  return typeof value === 'string' && BASE64_16_BYTES.test(value)
}

/** Returns the data, or null for every failure: bad base64 or length, wrong key, padding, text
 *  or JSON, another app's watermark, another user, too old. CBC gives no integrity, and about one
 *  wrong key in 256 leaves valid padding: only all checks together prove the key. Callers must not
 *  tell failures apart. */
export function decryptOpenData(input: OpenDataInput): OpenData | null {
  const text = input.encryptedData.length > MAX_OPEN_DATA ? '' : input.encryptedData
  const sealed = Buffer.from(text, 'base64')
  // Only canonical base64 survives decoding and encoding unchanged.
  const isText = sealed.toString('base64') === text && sealed.length > 0 && sealed.length % BLOCK === 0
  const hasKey = isSessionKey(input.sessionKey)
  const isReadable = isText && hasKey && BASE64_16_BYTES.test(input.iv)

  // Invalid input is decrypted too, so that every failure takes the same time.
  const key = Buffer.from(isReadable ? input.sessionKey : NOTHING, 'base64')
  const decipher = createDecipheriv('aes-128-cbc', key, Buffer.from(isReadable ? input.iv : NOTHING, 'base64'))
  decipher.setAutoPadding(false)
  const whole = sealed.length < BLOCK ? ONE_BLOCK : sealed.subarray(0, sealed.length - (sealed.length % BLOCK))
  const padded = Buffer.concat([decipher.update(whole), decipher.final()])
  const pad = padding(padded)
  const data = parseObject(padded.subarray(0, padded.length - (pad ?? 1)))
  return isReadable && pad !== null && data !== null && isOurs(data, input) ? data : null
}

/** The number of padding bytes (PKCS#7, RFC 5652, 6.3), or null. Always reads the whole last
 *  block. */
function padding(bytes: Buffer): number | null {
  const pad = bytes[bytes.length - 1] ?? 0
  let difference = pad >= 1 && pad <= BLOCK ? 0 : 1
  for (let i = 1; i <= BLOCK; i += 1) {
    const byte = bytes[bytes.length - i] ?? 0
    difference |= i <= pad ? byte ^ pad : 0
  }
  return difference === 0 ? pad : null
}

/** WeChat sends raw control characters in strings (nicknames) and text cut within a character.
 *  Both are repaired; the watermark still decides whether the data is accepted. */
function parseObject(bytes: Buffer): OpenData | null {
  try {
    const value: unknown = JSON.parse(escapeControls(bytes.toString('utf8')))
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function escapeControls(text: string): string {
  if (!CONTROL.test(text)) return text
  return text.replace(STRING, (literal) => literal.replace(CONTROLS, toEscape))
}

const CONTROL = /\p{Cc}/u
const CONTROLS = /[\p{Cc}--[\u007f-\u009f]]/gv
/** A JSON string with any characters inside. */
const STRING = /"(?:[^"\\]|\\.)*"/gsu

function toEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function isOurs(data: OpenData, input: OpenDataInput): boolean {
  const { watermark } = data
  if (!isObject(watermark) || watermark.appid !== input.appId) return false
  const { timestamp } = watermark
  if (typeof timestamp !== 'number' || !Number.isFinite(timestamp)) return false
  const age = input.now - timestamp * 1000
  if (age > (input.maxAge ?? DEFAULT_MAX_AGE) || age < -CLOCK_SKEW) return false
  return data.openId === undefined || input.openId === undefined || data.openId === input.openId
}

function isObject(value: unknown): value is OpenData {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** True when `signature` is hex(sha1(rawData + session_key)). `rawData` must be the text that
 *  the mini-program received, byte for byte; parsing and printing it again breaks the signature. */
export function verifyRawData(input: { sessionKey: string; rawData: string; signature: string }): boolean {
  const { sessionKey, rawData, signature } = input
  if (!/^[0-9a-f]{40}$/.test(signature) || rawData.length > MAX_OPEN_DATA || !rawData.isWellFormed()) return false
  const expected = createHash('sha1').update(rawData).update(sessionKey).digest()
  return timingSafeEqual(expected, Buffer.from(signature, 'hex'))
}
