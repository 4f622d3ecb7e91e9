/** Open data: decryption returns data with the right watermark, or nothing. */
import { createCipheriv } from 'node:crypto'
import fc from 'fast-check'
import { readPhone } from '../../src/platforms/wechat/client.ts'
import { decryptOpenData, verifyRawData } from '../../src/platforms/wechat/open-data-cipher.ts'
import { apply, bytes, type Edit, edits, type Fuzzer } from './fuzzer.ts'

export interface OpenDataInput {
  readonly plain: string
  readonly isPadded: boolean
  /** Of the base64 texts. */
  readonly edits: { readonly data: readonly Edit[]; readonly iv: readonly Edit[]; readonly key: readonly Edit[] }
}

const KEY = Buffer.from('0123456789abcdef')
const IV = Buffer.from('fedcba9876543210')
const NOW = Date.UTC(2026, 10, 23)
const APP = 'wx1234567890abcdef'
const REAL = JSON.stringify({
  openId: 'o-alice',
  phoneNumber: '13800000000',
  purePhoneNumber: '13800000000',
  countryCode: '86',
  watermark: { appid: APP, timestamp: NOW / 1000 }
})
const SCRAPS = ['=', '==', 'A', '+', '/', '-', '_', '\n', ' ', 'AAAA', '{', '}', '"', ':', '[]', 'null', '1e999', APP]
const text = edits(SCRAPS, 3)

const inputs: fc.Arbitrary<OpenDataInput> = fc.record({
  plain: fc.oneof(
    fc.constant(REAL),
    text.map((list) => apply(REAL, list)),
    fc.json({ maxDepth: 3 }),
    bytes(64)
  ),
  isPadded: fc.boolean(),
  edits: fc.record({
    data: fc.oneof(fc.constant([]), text),
    iv: fc.oneof(fc.constant([]), text),
    key: fc.oneof(fc.constant([]), text)
  })
})

export function createOpenDataFuzzer(decrypt: typeof decryptOpenData = decryptOpenData): Fuzzer<OpenDataInput> {
  return {
    name: 'open-data',
    inputs,
    check({ plain, isPadded, edits }) {
      const content = isPadded ? plain : plain.padEnd(Math.max(16, Math.ceil(plain.length / 16) * 16), ' ')
      const bytesOf = Buffer.from(content, 'latin1')
      const cipher = createCipheriv('aes-128-cbc', KEY, IV).setAutoPadding(isPadded)
      const sealed = Buffer.concat([cipher.update(bytesOf), cipher.final()]).toString('base64')
      const sessionKey = apply(KEY.toString('base64'), edits.key)
      const encryptedData = apply(sealed, edits.data)
      const data = decrypt({
        sessionKey,
        encryptedData,
        iv: apply(IV.toString('base64'), edits.iv),
        appId: APP,
        openId: 'o-alice',
        now: NOW
      })
      verifyRawData({ sessionKey, rawData: plain, signature: encryptedData.slice(0, 40) })
      if (data === null) {
        const isReal = plain === REAL && isPadded && encryptedData === sealed && sessionKey === KEY.toString('base64')
        return isReal && edits.iv.length === 0 ? 'real data was refused' : null
      }
      const { watermark, openId } = data as { watermark?: { appid?: unknown; timestamp?: unknown }; openId?: unknown }
      if (watermark?.appid !== APP || typeof watermark.timestamp !== 'number') return 'data without the right watermark'
      if (openId !== undefined && openId !== 'o-alice') return "another user's data"
      const phone = readPhone(data, APP)
      if (phone !== null && !/^\+?[\d -]{4,24}$/.test(phone.phoneNumber)) return `a phone number ${phone.phoneNumber}`
      return null
    }
  }
}
