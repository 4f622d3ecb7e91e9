/** Bytes and texts: mini-programs have neither TextEncoder nor atob on every phone. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Recognises an ArrayBuffer of another JavaScript context too. */
export function isBytes(data: unknown): data is ArrayBuffer {
  return Object.prototype.toString.call(data) === '[object ArrayBuffer]'
}

/** Encodes UTF-8. Half of a surrogate pair becomes U+FFFD. */
export function fromText(text: string): Uint8Array {
  const paired = text.replace(/[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]/g, (found) =>
    found.length === 2 ? found : '\ufffd'
  )
  const encoded = encodeURIComponent(paired)
  const bytes: number[] = []
  for (let index = 0; index < encoded.length; index++) {
    if (encoded.charAt(index) === '%') {
      bytes.push(parseInt(encoded.substr(index + 1, 2), 16))
      index += 2
    } else bytes.push(encoded.charCodeAt(index))
  }
  return new Uint8Array(bytes)
}

/** Decodes UTF-8; returns the empty text for bytes that are not UTF-8. */
export function toText(bytes: Uint8Array): string {
  let encoded = ''
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0
    encoded += `%${byte < 16 ? '0' : ''}${byte.toString(16)}`
  }
  try {
    return decodeURIComponent(encoded)
  } catch (_error) {
    return ''
  }
}

/** Encodes base64url without padding (RFC 4648, section 5). */
export function toBase64Url(bytes: Uint8Array): string {
  let text = ''
  for (let index = 0; index < bytes.length; index += 3) {
    const [a = 0, b = 0, c = 0] = [bytes[index], bytes[index + 1], bytes[index + 2]]
    const left = bytes.length - index
    text += ALPHABET.charAt(a >> 2) + ALPHABET.charAt(((a & 3) << 4) | (b >> 4))
    if (left > 1) text += ALPHABET.charAt(((b & 15) << 2) | (c >> 6))
    if (left > 2) text += ALPHABET.charAt(c & 63)
  }
  return text
}

/** Decodes base64 of either alphabet, with or without padding; null for any other text. */
export function fromBase64(text: string): Uint8Array | null {
  if (!/^[\w+/-]*={0,2}$/.test(text)) return null
  const plain = text.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
  const bytes: number[] = []
  let bits = 0
  let held = 0
  for (let index = 0; index < plain.length; index++) {
    held = ((held << 6) | ALPHABET.indexOf(plain.charAt(index))) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes.push((held >> bits) & 0xff)
    }
  }
  return new Uint8Array(bytes)
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/** Compares without telling where two texts differ by the time it takes. */
export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length
  for (let index = 0; index < a.length; index++) difference |= (a[index] ?? 0) ^ (b[index] ?? 0)
  return difference === 0
}
