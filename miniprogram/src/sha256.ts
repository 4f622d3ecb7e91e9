/** SHA-256 (FIPS 180-4) and HMAC (RFC 2104): wx has neither. */
import { concat } from './bytes'

const BLOCK = 64
const ROUNDS = 64

/** The first 32 bits of the fractional parts of cube roots and of square roots of primes
 *  (FIPS 180-4, sections 4.2.2 and 5.3.3). */
const CUBE_ROOTS: number[] = []
const SQUARE_ROOTS: number[] = []
for (let candidate = 2; CUBE_ROOTS.length < ROUNDS; candidate++) {
  if (!isPrime(candidate)) continue
  if (SQUARE_ROOTS.length < 8) SQUARE_ROOTS.push(fractionOf(candidate ** (1 / 2)))
  CUBE_ROOTS.push(fractionOf(candidate ** (1 / 3)))
}

function isPrime(candidate: number): boolean {
  for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) return false
  return true
}

function fractionOf(root: number): number {
  return ((root - Math.floor(root)) * 0x100000000) | 0
}

function rotate(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by))
}

export function sha256(message: Uint8Array): Uint8Array {
  const padded = pad(message)
  const state = SQUARE_ROOTS.slice()
  const words: number[] = []
  for (let offset = 0; offset < padded.length; offset += BLOCK) {
    schedule(padded, offset, words)
    compress(state, words)
  }
  const digest = new Uint8Array(32)
  for (let index = 0; index < 32; index++) digest[index] = (state[index >> 2] as number) >>> (24 - 8 * (index & 3))
  return digest
}

/** One 1 bit, zeros, and the length in bits. Bodies stay far below 2^32 bits. */
function pad(message: Uint8Array): Uint8Array {
  const length = Math.ceil((message.length + 9) / BLOCK) * BLOCK
  const padded = new Uint8Array(length)
  padded.set(message)
  padded[message.length] = 0x80
  const bits = message.length * 8
  for (let index = 0; index < 4; index++) padded[length - 1 - index] = (bits >>> (8 * index)) & 0xff
  return padded
}

function schedule(bytes: Uint8Array, offset: number, words: number[]): void {
  for (let index = 0; index < 16; index++) {
    const at = offset + 4 * index
    words[index] =
      ((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)
  }
  for (let index = 16; index < ROUNDS; index++) {
    const early = words[index - 15] as number
    const late = words[index - 2] as number
    const small0 = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3)
    const small1 = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10)
    words[index] = ((words[index - 16] as number) + small0 + (words[index - 7] as number) + small1) | 0
  }
}

function compress(state: number[], words: readonly number[]): void {
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state
  for (let index = 0; index < ROUNDS; index++) {
    const big1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const choice = (e & f) ^ (~e & g)
    const first = (h + big1 + choice + (CUBE_ROOTS[index] as number) + (words[index] as number)) | 0
    const big0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const majority = (a & b) ^ (a & c) ^ (b & c)
    h = g
    g = f
    f = e
    e = (d + first) | 0
    d = c
    c = b
    b = a
    a = (first + big0 + majority) | 0
  }
  const added = [a, b, c, d, e, f, g, h]
  for (let index = 0; index < 8; index++) state[index] = ((state[index] as number) + (added[index] as number)) | 0
}

/** @param key At most 64 bytes. */
export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
  const inner = new Uint8Array(BLOCK)
  const outer = new Uint8Array(BLOCK)
  for (let index = 0; index < BLOCK; index++) {
    const byte = key[index] ?? 0
    inner[index] = byte ^ 0x36
    outer[index] = byte ^ 0x5c
  }
  return sha256(concat([outer, sha256(concat([inner, message]))]))
}
