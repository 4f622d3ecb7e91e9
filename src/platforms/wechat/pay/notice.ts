/** Reads a notice of the pay API: signature, time, encryption and addressee.
 *  https://pay.weixin.qq.com/doc/v3/merchant/4012791861 */
import type { PayMerchant, PayNotice } from '../../pay-port.ts'
import { decryptResource } from './resource.ts'

/** Members that name the merchant and the mini-program: of a payment, of a partner, of a combined
 *  order. */
const MERCHANTS = ['mchid', 'sp_mchid', 'sub_mchid', 'combine_mchid']
const APPS = ['appid', 'sp_appid', 'sub_appid', 'combine_appid']

const ID = /^[\x21-\x7e]{1,128}$/
const OPEN_ID = /^[A-Za-z0-9_-]{6,128}$/

type Members = Readonly<Record<string, unknown>>

/** The notice, or the reason for a log. The caller verifies the signature of the same bytes. */
export function openNotice(body: Buffer, appId: string, { mchId, apiV3Key }: PayMerchant): PayNotice | string {
  const envelope = parse(body.toString('utf8'))
  if (envelope === null) return 'the body is no JSON object'
  const { resource, ...rest } = envelope
  const plain = decryptResource(resource, apiV3Key)
  if (plain === null) return 'the resource does not decrypt with apiV3Key'
  const text = plain.toString('utf8')
  const content = parse(text)
  if (content === null) return 'the resource is no JSON object'
  if (!names(content, MERCHANTS, mchId)) return 'it is for another merchant'
  if (!names(content, APPS, appId)) return 'it is for another mini-program'
  const { id, event_type: event } = envelope
  if (typeof id !== 'string' || !ID.test(id)) return 'it has no id'
  return {
    key: id,
    // One order at a time: its payment comes before its refund.
    lane: laneOf(content, id),
    openId: payerOf(content, appId),
    event: typeof event === 'string' ? event : 'unknown',
    // The bytes of WeChat, whose numbers may exceed those of JavaScript.
    json: `${JSON.stringify({ ...rest, original_type: originalType(resource) }).slice(0, -1)},"resource":${text}}`
  }
}

function parse(text: string): Members | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : null
  } catch {
    return null
  }
}

/** True unless the members name others only. */
function names(content: Members, members: readonly string[], expected: string): boolean {
  const named = members.flatMap((member) => (content[member] === undefined ? [] : [content[member]]))
  return named.length === 0 || named.includes(expected)
}

function laneOf(content: Members, id: string): string {
  const order = content.out_trade_no ?? content.combine_out_trade_no
  return typeof order === 'string' && ID.test(order) ? order : id
}

/** The openid of the payer in this mini-program. */
function payerOf({ appid, payer }: Members, appId: string): string | null {
  if (appid !== appId || typeof payer !== 'object' || payer === null || !('openid' in payer)) return null
  return typeof payer.openid === 'string' && OPEN_ID.test(payer.openid) ? payer.openid : null
}

function originalType(resource: unknown): unknown {
  return typeof resource === 'object' && resource !== null && 'original_type' in resource
    ? resource.original_type
    : undefined
}
