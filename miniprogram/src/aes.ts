/** AES-128 in CBC mode with PKCS#7 padding (FIPS 197, SP 800-38A): wx has no cipher. */

const BLOCK = 16
const ROUNDS = 10

const { SUBSTITUTE, RESTORE } = makeTables()
const [TIMES_9, TIMES_11, TIMES_13, TIMES_14] = [multiples(9), multiples(11), multiples(13), multiples(14)]

function twice(byte: number): number {
  return ((byte << 1) ^ (byte & 0x80 ? 0x11b : 0)) & 0xff
}

/** Multiplication in the field of FIPS 197, section 4.2. */
function multiply(a: number, b: number): number {
  let product = 0
  for (let factor = a, bits = b; bits > 0; bits >>= 1) {
    if (bits & 1) product ^= factor
    factor = twice(factor)
  }
  return product
}

function multiples(factor: number): Uint8Array {
  const table = new Uint8Array(256)
  for (let byte = 0; byte < 256; byte++) table[byte] = multiply(byte, factor)
  return table
}

/** The S-box and its inverse: the inverse in the field, then an affine map (section 5.1.1). */
function makeTables(): { readonly SUBSTITUTE: Uint8Array; readonly RESTORE: Uint8Array } {
  const SUBSTITUTE = new Uint8Array(256)
  const RESTORE = new Uint8Array(256)
  // 3 generates the field, and 246 is its inverse.
  for (let count = 0, power = 1, inverse = 1; count < 256; count++) {
    const byte = count === 255 ? 0 : power
    const source = count === 255 ? 0 : inverse
    let mapped = 0x63
    for (let turn = 0; turn < 5; turn++) mapped ^= ((source << turn) | (source >> (8 - turn))) & 0xff
    SUBSTITUTE[byte] = mapped
    RESTORE[mapped] = byte
    power = multiply(power, 3)
    inverse = multiply(inverse, 246)
  }
  return { SUBSTITUTE, RESTORE }
}

function expand(key: Uint8Array): Uint8Array {
  const keys = new Uint8Array(BLOCK * (ROUNDS + 1))
  keys.set(key)
  for (let at = BLOCK, constant = 1; at < keys.length; at += 4) {
    const isFirst = at % BLOCK === 0
    for (let index = 0; index < 4; index++) {
      const from = isFirst ? at - 4 + ((index + 1) & 3) : at - 4 + index
      const byte = keys[from] as number
      keys[at + index] = (keys[at + index - BLOCK] as number) ^ (isFirst ? (SUBSTITUTE[byte] as number) : byte)
    }
    if (isFirst) {
      keys[at] = (keys[at] as number) ^ constant
      constant = twice(constant)
    }
  }
  return keys
}

function addKey(state: Uint8Array, keys: Uint8Array, round: number): void {
  for (let index = 0; index < BLOCK; index++) {
    state[index] = (state[index] as number) ^ (keys[round * BLOCK + index] as number)
  }
}

/** Substitutes each byte and shifts the rows to the left by `step` columns per row. */
function substitute(state: Uint8Array, table: Uint8Array, step: number): void {
  const before = new Uint8Array(state)
  for (let index = 0; index < BLOCK; index++) {
    state[index] = table[before[(index + 4 * step * (index & 3)) & 15] as number] as number
  }
}

function encryptBlock(state: Uint8Array, keys: Uint8Array): void {
  addKey(state, keys, 0)
  for (let round = 1; round <= ROUNDS; round++) {
    substitute(state, SUBSTITUTE, 1)
    if (round < ROUNDS) mixColumns(state)
    addKey(state, keys, round)
  }
}

function decryptBlock(state: Uint8Array, keys: Uint8Array): void {
  addKey(state, keys, ROUNDS)
  for (let round = ROUNDS - 1; round >= 0; round--) {
    substitute(state, RESTORE, 3)
    addKey(state, keys, round)
    if (round > 0) unmixColumns(state)
  }
}

function mixColumns(state: Uint8Array): void {
  for (let at = 0; at < BLOCK; at += 4) {
    const [a = 0, b = 0, c = 0, d = 0] = [state[at], state[at + 1], state[at + 2], state[at + 3]]
    const all = a ^ b ^ c ^ d
    state[at] = a ^ all ^ twice(a ^ b)
    state[at + 1] = b ^ all ^ twice(b ^ c)
    state[at + 2] = c ^ all ^ twice(c ^ d)
    state[at + 3] = d ^ all ^ twice(d ^ a)
  }
}

function unmixColumns(state: Uint8Array): void {
  for (let at = 0; at < BLOCK; at += 4) {
    const column = [state[at], state[at + 1], state[at + 2], state[at + 3]] as number[]
    for (let row = 0; row < 4; row++) {
      state[at + row] =
        (TIMES_14[column[row] as number] as number) ^
        (TIMES_11[column[(row + 1) & 3] as number] as number) ^
        (TIMES_13[column[(row + 2) & 3] as number] as number) ^
        (TIMES_9[column[(row + 3) & 3] as number] as number)
    }
  }
}

export function encryptCbc(key: Uint8Array, iv: Uint8Array, plain: Uint8Array): Uint8Array {
  const keys = expand(key)
  const padding = BLOCK - (plain.length % BLOCK)
  const result = new Uint8Array(plain.length + padding)
  result.set(plain)
  for (let index = plain.length; index < result.length; index++) result[index] = padding
  let previous = iv
  for (let at = 0; at < result.length; at += BLOCK) {
    const block = result.subarray(at, at + BLOCK)
    for (let index = 0; index < BLOCK; index++) block[index] = (block[index] as number) ^ (previous[index] as number)
    encryptBlock(block, keys)
    previous = block
  }
  return result
}

/** Null for a length or a padding that encryptCbc does not produce. */
export function decryptCbc(key: Uint8Array, iv: Uint8Array, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length === 0 || sealed.length % BLOCK !== 0) return null
  const keys = expand(key)
  const result = new Uint8Array(sealed)
  for (let at = 0; at < result.length; at += BLOCK) {
    const block = result.subarray(at, at + BLOCK)
    const previous = at === 0 ? iv : sealed.subarray(at - BLOCK, at)
    decryptBlock(block, keys)
    for (let index = 0; index < BLOCK; index++) block[index] = (block[index] as number) ^ (previous[index] as number)
  }
  const padding = result[result.length - 1] ?? 0
  if (padding < 1 || padding > BLOCK) return null
  for (let index = result.length - padding; index < result.length; index++) if (result[index] !== padding) return null
  return result.subarray(0, result.length - padding)
}
