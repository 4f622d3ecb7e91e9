import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { test } from 'tap'
import { decryptOpenData, type OpenDataInput, verifyRawData } from '../src/platforms/wechat/open-data-cipher.ts'
import { vector } from './support/wechat-vectors.ts'

const SAMPLE = 'opendata-decrypt-aes128cbc'
const sample: OpenDataInput = {
  sessionKey: vector(SAMPLE, 'input', 'session_key_b64'),
  encryptedData: vector(SAMPLE, 'input', 'encryptedData_b64'),
  iv: vector(SAMPLE, 'input', 'iv_b64'),
  appId: vector(SAMPLE, 'input', 'appid'),
  openId: 'oGZUI0egBJY1zhBYw2KhdUfwVJJE',
  now: 1477314187_000 + 1000
}

const KEY = randomBytes(16)
const IV = randomBytes(16)
const NOW = Date.UTC(2026, 0, 2)
const APP = 'wx1234567890abcdef'
const watermark = { appid: APP, timestamp: NOW / 1000 }

/** Encrypts as WeChat does; with `isPadded` false the text must be whole blocks. */
function sealed(plaintext: string | Buffer, isPadded = true): OpenDataInput {
  const cipher = createCipheriv('aes-128-cbc', KEY, IV).setAutoPadding(isPadded)
  const encrypted = Buffer.concat([cipher.update(plaintext), cipher.final()])
  return {
    sessionKey: KEY.toString('base64'),
    encryptedData: encrypted.toString('base64'),
    iv: IV.toString('base64'),
    appId: APP,
    openId: 'o-alice',
    now: NOW
  }
}

/** A whole number of blocks. */
function fillBlock(fields: Record<string, unknown>): string {
  const text = JSON.stringify({ ...fields, fill: '' })
  return JSON.stringify({ ...fields, fill: 'x'.repeat(16 - (text.length % 16)) })
}

test('the published sample decrypts to its plaintext', async (t) => {
  t.same(decryptOpenData(sample), JSON.parse(vector(SAMPLE, 'expected', 'plaintext')))
})

test('data under a rotated session_key is a failure, not garbage', async (t) => {
  const id = 'opendata-decrypt-wrong-key-negative'
  const input = {
    sessionKey: vector(id, 'input', 'session_key_b64'),
    encryptedData: vector(id, 'input', 'encryptedData_b64'),
    iv: vector(id, 'input', 'iv_b64'),
    appId: 'wx4f4bc4dec97d474b',
    now: NOW,
    maxAge: Number.POSITIVE_INFINITY
  }
  t.equal(decryptOpenData(input), null)
})

test('20,000 wrong keys never yield data', async (t) => {
  let yielded = 0
  const keys = randomBytes(16 * 20_000)
  for (let i = 0; i < keys.length; i += 16) {
    const sessionKey = keys.toString('base64', i, i + 16)
    if (decryptOpenData({ ...sample, sessionKey }) !== null) yielded += 1
  }
  t.equal(yielded, 0)
})

test('data is accepted when every part of it is valid', async (t) => {
  const good = sealed(JSON.stringify({ openId: 'o-alice', text: '名字 🙂', watermark }))
  t.match(decryptOpenData(good), { text: '名字 🙂' })
  t.ok(decryptOpenData(sealed(JSON.stringify({ stepInfoList: [], watermark }))), 'data that names no user')
  const { openId: _openId, ...anyone } = good
  t.ok(decryptOpenData(anyone), 'a caller without a user to compare with')
  t.ok(decryptOpenData(sealed(fillBlock({ watermark }))), 'a whole block of padding')
})

test('every other input is null, whatever its fault', async (t) => {
  const good = sealed(JSON.stringify({ openId: 'o-alice', watermark }))
  const text = Buffer.from(good.encryptedData, 'base64')
  const flipped = Buffer.from(text)
  flipped.writeUInt8(flipped.readUInt8(3) ^ 1, 3)
  const block = (last: number[]) => Buffer.concat([Buffer.alloc(32 - last.length, 0x20), Buffer.from(last)])
  const cases: Record<string, OpenDataInput> = {
    'a key of 15 bytes': { ...good, sessionKey: randomBytes(15).toString('base64') },
    'a key of 32 bytes': { ...good, sessionKey: randomBytes(32).toString('base64') },
    'an empty key': { ...good, sessionKey: '' },
    'a key in base64url': { ...good, sessionKey: '_-__________________==' },
    'an iv of 12 bytes': { ...good, iv: randomBytes(12).toString('base64') },
    'an iv with a line end': { ...good, iv: `${good.iv}\n` },
    'no ciphertext': { ...good, encryptedData: '' },
    'ciphertext of 15 bytes': { ...good, encryptedData: text.subarray(0, 15).toString('base64') },
    'ciphertext cut to one block less': { ...good, encryptedData: text.subarray(0, -16).toString('base64') },
    'ciphertext with blanks for plus signs': { ...good, encryptedData: ` ${good.encryptedData.slice(1)}` },
    'ciphertext without its base64 padding': { ...good, encryptedData: `${good.encryptedData.slice(0, -1)}` },
    'ciphertext of 10 MB': { ...good, encryptedData: 'A'.repeat(10 * 1024 * 1024) },
    'a changed byte': { ...good, encryptedData: flipped.toString('base64') },
    'another key': { ...good, sessionKey: randomBytes(16).toString('base64') },
    'padding of 0': sealed(block([0]), false),
    'padding of 17': sealed(block([17]), false),
    'padding that does not agree': sealed(block([3, 2, 3]), false),
    'text that is not UTF-8': sealed(Buffer.from([0x7b, 0xff, 0xfe, 0x7d])),
    'text that is not JSON': sealed('{"watermark":'),
    'a JSON array': sealed(JSON.stringify([{ watermark }])),
    'the JSON null': sealed('null'),
    'no watermark': sealed(JSON.stringify({ openId: 'o-alice' })),
    'a watermark that is a text': sealed(JSON.stringify({ watermark: APP })),
    'the watermark of another mini-program': sealed(JSON.stringify({ watermark: { ...watermark, appid: 'wx-b' } })),
    'a watermark without a time': sealed(JSON.stringify({ watermark: { appid: APP } })),
    'a watermark with a text as time': sealed(JSON.stringify({ watermark: { appid: APP, timestamp: '1' } })),
    'a watermark of two hours ago': { ...good, now: NOW + 2 * 3600_000 },
    'a watermark beyond the age asked for': { ...good, now: NOW + 2000, maxAge: 1000 },
    'a watermark from the future': { ...good, now: NOW - 3600_000 },
    'another user': sealed(JSON.stringify({ openId: 'o-mallory', watermark })),
    'a user that is not text': sealed(JSON.stringify({ openId: ['o-alice'], watermark }))
  }
  for (const [what, input] of Object.entries(cases)) t.equal(decryptOpenData(input), null, what)
})

test('the published rawData signature verifies, and no variant of it', async (t) => {
  const id = 'opendata-signature-sha1'
  const input = {
    sessionKey: vector(id, 'input', 'session_key'),
    rawData: vector(id, 'input', 'rawData'),
    signature: vector(id, 'expected', 'signature')
  }
  t.equal(verifyRawData(input), true)
  t.equal(verifyRawData({ ...input, rawData: `${input.rawData} ` }), false)
  t.equal(verifyRawData({ ...input, rawData: JSON.stringify({ ...JSON.parse(input.rawData), gender: 2 }) }), false)
  t.equal(verifyRawData({ ...input, sessionKey: KEY.toString('base64') }), false)
  for (const signature of ['', input.signature.slice(1), `${input.signature}0`, 'z'.repeat(40), 'é'.repeat(20)]) {
    t.equal(verifyRawData({ ...input, signature }), false, `signature ${signature}`)
  }
})

test('rawData without UTF-8 bytes is refused', async (t) => {
  const rawData = 'half a \ud83d pair'
  const sessionKey = KEY.toString('base64')
  const signature = createHash('sha1').update(rawData).update(sessionKey).digest('hex')
  t.equal(verifyRawData({ sessionKey, rawData, signature }), false)
})

test('1 KB decrypts within 100 µs of CPU', async (t) => {
  const input = sealed(JSON.stringify({ openId: 'o-alice', fill: 'x'.repeat(1024), watermark }))
  for (let i = 0; i < 500; i += 1) decryptOpenData(input)
  const before = process.cpuUsage()
  for (let i = 0; i < 2000; i += 1) decryptOpenData(input)
  const { user, system } = process.cpuUsage(before)
  t.ok((user + system) / 2000 < 100, `${((user + system) / 2000).toFixed(1)} µs`)
})
