/** Control endpoints of the pay API under /sandbox/pay/: merchants, payments, certificates. */
import { type Answer, control } from '../answers.ts'
import { text } from '../request.ts'
import type { PayWorld } from './endpoints.ts'
import { generateMerchant } from './merchants.ts'
import { NOTICE_FAULTS, sendNotice, settle, writeNotice } from './notices.ts'
import { type Fields, keyOf } from './orders.ts'
import { SIGNATURE_FAULTS } from './platform.ts'

const wrong = (error: string): Answer => control(400, { error })

/** Adds a merchant; keys that are not given are made. */
export function addMerchant({ merchants, platform }: PayWorld, fields: Fields): Answer {
  const mchid = text(fields, 'mchid')
  if (!/^\d{4,32}$/.test(mchid)) return wrong('mchid must be 4 to 32 digits')
  const apiV3Key = text(fields, 'api_v3_key')
  if (apiV3Key !== '' && Buffer.byteLength(apiV3Key) !== 32) return wrong('api_v3_key must have 32 characters')
  const given = { publicKey: text(fields, 'public_key'), serialNo: text(fields, 'serial_no'), apiV3Key }
  const chosen = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''))
  const { privateKey, ...made } = generateMerchant(mchid)
  const merchant = { ...made, ...chosen }
  try {
    merchants.register(merchant)
  } catch {
    return wrong('public_key must be a public key in PEM')
  }
  return control(201, {
    mchid,
    serial_no: merchant.serialNo,
    api_v3_key: merchant.apiV3Key,
    ...(given.publicKey === '' ? { private_key: privateKey } : {}),
    platform: showPlatform(platform)
  })
}

/** The user pays an order, or a refund succeeds; then the notice is sent. */
export async function settleAndNotify(world: PayWorld, fields: Fields): Promise<Answer> {
  const { merchants, orders, platform, now } = world
  const number = text(fields, 'out_trade_no') || text(fields, 'out_refund_no')
  const mchid = text(fields, 'mchid') || (ownerOf(world, number) ?? '')
  const merchant = merchants.find(mchid)
  const fault = NOTICE_FAULTS.find((one) => one === fields.fault) ?? null
  if (fields.fault !== undefined && fault === null) return wrong(`fault must be one of ${NOTICE_FAULTS.join(', ')}`)
  const settled = merchant === null ? null : settle(orders, keyOf(mchid, number), now())
  if (merchant === null || settled === null) return control(404, { error: 'there is no such open order or refund' })
  const url = text(fields, 'url') || settled.url
  if (!/^https?:\/\//.test(url)) return wrong('the order has no notify_url: give url')
  const key = fields.key === 'public' ? 'public' : 'certificate'
  const written = writeNotice(settled.notice, { platform, now, apiV3Key: merchant.apiV3Key, key, fault })
  return control(200, { id: settled.notice.id, url, answer: await sendNotice(url, written) })
}

/** The merchant of an order or a refund, for a number that only one merchant uses. */
function ownerOf({ orders }: PayWorld, number: string): string | undefined {
  const keys = [...orders.orders.keys(), ...orders.refunds.keys()]
  return keys.find((key) => key.endsWith(` ${number}`))?.split(' ')[0]
}

export function changePlatform({ platform }: PayWorld, fields: Fields): Answer {
  if (fields.action !== 'rotate') return wrong('action must be rotate')
  platform.rotate()
  return control(200, showPlatform(platform))
}

/** The newest certificate, and the public key of WeChat Pay. */
export function showPlatform(platform: PayWorld['platform']): Fields {
  const newest = platform.certificates().at(-1)
  const { id, key } = platform.publicKey()
  return {
    serial: newest?.serial,
    certificate: newest?.certificate,
    public_key_id: id,
    public_key: key.export({ type: 'spki', format: 'pem' })
  }
}

export function planAnswerFaults({ answerFaults }: PayWorld, fields: Fields): Answer {
  const fault = SIGNATURE_FAULTS.find((one) => one === fields.fault)
  const times = fields.times ?? 1
  if (fault === undefined) return wrong(`fault must be one of ${SIGNATURE_FAULTS.join(', ')}`)
  if (typeof times !== 'number' || !Number.isInteger(times) || times < 1 || times > 1000)
    return wrong('times must be 1 to 1000')
  for (let index = 0; index < times; index++) answerFaults.push(fault)
  return control(201, { ok: true })
}
