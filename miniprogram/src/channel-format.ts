/** Wire format 1 of the encrypted channel: docs/channel.md of wxgate. */
import { decryptCbc, encryptCbc } from './aes'
import { concat, fromBase64, fromText, isEqual, toBase64Url } from './bytes'
import { hmacSha256 } from './sha256'

export type Direction = 'request' | 'response'

export interface Content {
  /** Content-Type; empty for none. */
  readonly type: string
  readonly body: Uint8Array
}

export interface Sealing {
  readonly direction: Direction
  /** The decoded encryptKey. */
  readonly key: Uint8Array
  readonly version: number
  /** Milliseconds since the epoch. */
  readonly time: number
  /** 16 random bytes. */
  readonly nonce: Uint8Array
  /** A request: method, target, appid and user id. A response: status and nonce of the request. */
  readonly place: readonly string[]
}

export interface Sealed {
  readonly header: string
  /** Empty for a message without a body. */
  readonly body: Uint8Array
}

const FORM = /^v1\.(\d{1,15})\.(\d{13})\.([\w-]{22})\.([\w-]{43})$/
const LINE_FEED = 10

/** @param content Null for a message without a body. */
export function sealMessage(sealing: Sealing, content: Content | null): Sealed {
  const { direction, key, nonce } = sealing
  const about = [String(sealing.version), String(sealing.time), toBase64Url(nonce)]
  const body = content
    ? encryptCbc(cipherKey(direction, key), nonce, concat([fromText(`${content.type}\n`), content.body]))
    : new Uint8Array(0)
  const mac = macOf(direction, key, sealing.place, about, body)
  return { header: ['v1', ...about, toBase64Url(mac)].join('.'), body }
}

/** `false` for a message that was not sealed with this key for this place. Null for one without a
 *  body. */
export function openMessage(
  direction: Direction,
  key: Uint8Array,
  place: readonly string[],
  { header, body }: Sealed
): Content | null | false {
  const parts = FORM.exec(header)
  const nonce = fromBase64(parts?.[3] ?? '')
  const mac = fromBase64(parts?.[4] ?? '')
  if (!parts || !nonce || !mac || !isEqual(macOf(direction, key, place, parts.slice(1, 4), body), mac)) return false
  if (body.length === 0) return null
  const plain = decryptCbc(cipherKey(direction, key), nonce, body)
  return plain ? split(plain) : false
}

function split(plain: Uint8Array): Content | false {
  let type = ''
  for (let index = 0; index < plain.length; index++) {
    if (plain[index] === LINE_FEED) return { type, body: plain.subarray(index + 1) }
    type += String.fromCharCode(plain[index] ?? 0)
  }
  return false
}

function cipherKey(direction: Direction, key: Uint8Array): Uint8Array {
  return hmacSha256(key, fromText(`wxgate-channel-1 ${direction} cipher`)).subarray(0, 16)
}

function macOf(
  direction: Direction,
  key: Uint8Array,
  place: readonly string[],
  about: readonly string[],
  body: Uint8Array
): Uint8Array {
  const macKey = hmacSha256(key, fromText(`wxgate-channel-1 ${direction} mac`))
  const lines = [`wxgate-channel-1 ${direction}`, ...place, ...about, '']
  return hmacSha256(macKey, concat([fromText(lines.join('\n')), body]))
}
