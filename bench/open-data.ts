/** Measures decrypting open data, and the differences in time between the failures: `node
 *  bench/open-data.ts`. A few seconds, one core. */
import { createCipheriv, randomBytes } from 'node:crypto'
import { systemClock } from '../src/clock.ts'
import { createKeyRing } from '../src/crypto/key-ring.ts'
import { createSealer } from '../src/crypto/sealer.ts'
import { createOpenDataReader } from '../src/identity/open-data-reader.ts'
import { createRecordKeys } from '../src/identity/record-keys.ts'
import { createSessionKeys } from '../src/identity/session-keys.ts'
import type { SealedOpenData } from '../src/platforms/port.ts'
import { decryptOpenData, verifyRawData } from '../src/platforms/wechat/open-data-cipher.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import { median } from './statistics.ts'

const APP = 'wx0123456789abcdef'
const USER = 'oBenchmark00000000000000'
const NOBODY = 'oNobody0000000000000000'
const ROUNDS = 41
const CALLS = 500

const clock = systemClock
const log = { debug() {}, info() {}, warn() {}, error() {} }
const store = createMemoryStore({ clock, log })
const sealer = createSealer(createKeyRing(['a secret of the benchmark, known to everybody']), 'records')
const keys = createRecordKeys(() => ({ name: 'wechat', unionScope: 'wechat-open', ownsFormerKeys: true }))
const sessionKeys = createSessionKeys({ store, sealer, clock, keys, sessionKeyTtl: 7_200_000 })
const createSpareKey = () => randomBytes(16).toString('base64')
const openData = { decrypt: decryptOpenData, verify: verifyRawData, createSpareKey }
const reader = createOpenDataReader({ sessionKeys, openDataOf: () => openData, clock })
const key = randomBytes(16)
await sessionKeys.save(APP, USER, key.toString('base64'), Date.now())

function seal(watermark: unknown, sealingKey = key): SealedOpenData {
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-128-cbc', sealingKey, iv)
  const text = JSON.stringify({ openId: USER, fill: 'x'.repeat(1024), watermark })
  const sealed = Buffer.concat([cipher.update(text), cipher.final()])
  return { encryptedData: sealed.toString('base64'), iv: iv.toString('base64') }
}

const watermark = { appid: APP, timestamp: Math.floor(Date.now() / 1000) }
const good = seal(watermark)
const cases: Record<string, { user: string; data: SealedOpenData }> = {
  'right, 1 KB': { user: USER, data: good },
  'another key': { user: USER, data: seal(watermark, randomBytes(16)) },
  'no key stored': { user: NOBODY, data: good },
  'no base64': { user: USER, data: { ...good, encryptedData: `*${good.encryptedData.slice(1)}` } },
  'half a block': { user: USER, data: { ...good, encryptedData: good.encryptedData.slice(0, -12) } },
  'an iv of 15 bytes': { user: USER, data: { ...good, iv: randomBytes(15).toString('base64') } },
  "another app's watermark": { user: USER, data: seal({ ...watermark, appid: 'wx-another' }) },
  'a watermark of yesterday': { user: USER, data: seal({ ...watermark, timestamp: watermark.timestamp - 86_400 }) }
}
const figures = new Map(Object.keys(cases).map((name) => [name, [] as number[]]))
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, { user, data }] of Object.entries(cases)) {
    const before = process.cpuUsage()
    for (let call = 0; call < CALLS; call++) await reader.decrypt(APP, user, data).catch(() => null)
    const { user: own, system } = process.cpuUsage(before)
    // The first rounds only warm up.
    if (round >= 4) figures.get(name)?.push((own + system) / CALLS)
  }
}
process.stdout.write('| what | CPU µs (median) |\n|---|---|\n')
for (const [name, list] of figures) process.stdout.write(`| ${name} | ${median(list).toFixed(1)} |\n`)
process.exit()
