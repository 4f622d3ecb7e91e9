/** Wire format 1 of the encrypted channel: AES-128-CBC, then HMAC-SHA256 over a description of the
 *  message and the ciphertext. docs/channel.md describes it. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

export type Direction = 'request' | 'response'

/** The members of the header Wxgate-Channel. */
export interface ChannelHeader {
  /** Version of the user's key. */
  readonly version: number
  /** The sender's clock, in milliseconds since the epoch. */
  readonly time: number
  /** 16 random bytes in base64url; the IV of the cipher. */
  readonly nonce: string
  readonly mac: Buffer
}

export interface Content {
  /** Content-Type; empty for none. */
  readonly type: string
  readonly body: Buffer
}

/** Binds a message to its place. A request: method, target, appid and user id. A response: status
 *  and the nonce of its request. */
export type Place = readonly string[]

const FORM = /^v1\.(0|[1-9]\d{0,14})\.([1-9]\d{12})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})$/
const LINE_FEED = 0x0a
/** Content-Type takes part in a header of the upstream request. */
const TYPE = /^[\x20-\x7e]{0,256}$/
const NOTHING = Buffer.alloc(0)

/** Null for any other text. */
export function parseChannelHeader(text: string | undefined): ChannelHeader | null {
  const [, version, time, nonce, mac] = FORM.exec(text ?? '') ?? []
  if (version === undefined || time === undefined || nonce === undefined || mac === undefined) return null
  return { version: Number(version), time: Number(time), nonce, mac: Buffer.from(mac, 'base64url') }
}

/** Null content stands for a message without a body, which stays empty.
 *  @param key The decoded encrypt_key, 16 bytes.
 *  @param nonce Chosen by tests only. */
export function sealMessage(
  direction: Direction,
  key: Buffer,
  { version, time, place }: { readonly version: number; readonly time: number; readonly place: Place },
  content: Content | null,
  nonce: string = randomBytes(16).toString('base64url')
): { readonly header: string; readonly body: Buffer } {
  const body = content === null ? NOTHING : encrypt(direction, key, nonce, content)
  const mac = macOf(direction, key, { version, time, nonce }, place, body).toString('base64url')
  return { header: `v1.${version}.${time}.${nonce}.${mac}`, body }
}

/** `false`: the message was changed, belongs to another place, or was made with another key.
 *  Null: a message without a body. */
export function openMessage(
  direction: Direction,
  key: Buffer,
  header: ChannelHeader,
  place: Place,
  body: Buffer
): Content | null | false {
  if (!timingSafeEqual(macOf(direction, key, header, place, body), header.mac)) return false
  if (body.length === 0) return null
  return decrypt(direction, key, header.nonce, body)
}

function deriveKey(direction: Direction, key: Buffer, use: 'cipher' | 'mac'): Buffer {
  return createHmac('sha256', key).update(`wxgate-channel-1 ${direction} ${use}`).digest()
}

function macOf(
  direction: Direction,
  key: Buffer,
  { version, time, nonce }: Pick<ChannelHeader, 'version' | 'time' | 'nonce'>,
  place: Place,
  body: Buffer
): Buffer {
  const lines = [`wxgate-channel-1 ${direction}`, ...place, version, time, nonce, '']
  return createHmac('sha256', deriveKey(direction, key, 'mac'))
    .update(lines.join('\n'))
    .update(body)
    .digest()
}

function encrypt(direction: Direction, key: Buffer, nonce: string, { type, body }: Content): Buffer {
  const cipherKey = deriveKey(direction, key, 'cipher').subarray(0, 16)
  const cipher = createCipheriv('aes-128-cbc', cipherKey, Buffer.from(nonce, 'base64url'))
  return Buffer.concat([cipher.update(`${type}\n`, 'latin1'), cipher.update(body), cipher.final()])
}

/** The MAC has been checked: a failure means a sender with a fault of its own. */
function decrypt(direction: Direction, key: Buffer, nonce: string, body: Buffer): Content | false {
  const cipherKey = deriveKey(direction, key, 'cipher').subarray(0, 16)
  try {
    const decipher = createDecipheriv('aes-128-cbc', cipherKey, Buffer.from(nonce, 'base64url'))
    const plain = Buffer.concat([decipher.update(body), decipher.final()])
    const end = plain.indexOf(LINE_FEED)
    const type = plain.toString('latin1', 0, Math.max(0, end))
    return end >= 0 && TYPE.test(type) ? { type, body: plain.subarray(end + 1) } : false
  } catch {
    return false
  }
}
