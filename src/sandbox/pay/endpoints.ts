/** The endpoints of api.mch.weixin.qq.com that the sandbox implements. */
import type { Answer } from '../answers.ts'
import { type SandboxRequest, text } from '../request.ts'
import type { Merchants, SandboxMerchant } from './merchants.ts'
import { type Fields, keyOf, newId, type Order, type Orders, refundOf, timeOf, transactionOf } from './orders.ts'
import { encryptResource, type Platform, type SignatureFault } from './platform.ts'

export interface PayWorld {
  readonly merchants: Merchants
  readonly orders: Orders
  readonly platform: Platform
  /** Faults of the signatures of the next answers. */
  readonly answerFaults: SignatureFault[]
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

interface Reply {
  readonly status: number
  readonly fields: Fields | null
}

type Endpoint = (request: SandboxRequest, merchant: SandboxMerchant, ids: readonly string[]) => Reply

const ok = (fields: Fields): Reply => ({ status: 200, fields })
const refuse = (status: number, code: string, message: string): Reply => ({ status, fields: { code, message } })
const NO_ORDER = refuse(404, 'ORDER_NOT_EXIST', 'the order does not exist')
const BAD_SIGNATURE = refuse(401, 'SIGN_ERROR', 'the signature of the merchant does not match')

/** Answers any path. */
export function createPayEndpoints(world: PayWorld): (request: SandboxRequest) => Answer {
  const endpoints: readonly (readonly [method: string, path: RegExp, Endpoint])[] = [
    ['GET', /^\/v3\/certificates$/, (_request, merchant) => certificates(world, merchant)],
    ['POST', /^\/v3\/pay\/transactions\/jsapi$/, (request, merchant) => order(world, request, merchant)],
    [
      'GET',
      /^\/v3\/pay\/transactions\/(out-trade-no|id)\/([^/]+)$/,
      (request, merchant, ids) => query(world, request, merchant, ids)
    ],
    [
      'POST',
      /^\/v3\/pay\/transactions\/out-trade-no\/([^/]+)\/close$/,
      (request, merchant, [number = '']) => close(world, request, merchant, number)
    ],
    ['POST', /^\/v3\/refund\/domestic\/refunds$/, (request, merchant) => refund(world, request, merchant)],
    [
      'GET',
      /^\/v3\/refund\/domestic\/refunds\/([^/]+)$/,
      (_request, { mchid }, [number = '']) => {
        const found = world.orders.refunds.get(keyOf(mchid, number))
        return found ? ok(refundOf(found)) : refuse(404, 'RESOURCE_NOT_EXISTS', 'the refund does not exist')
      }
    ]
  ]

  function reply(request: SandboxRequest): Reply {
    const merchant = world.merchants.authenticate(request)
    if (merchant === null) return BAD_SIGNATURE
    for (const [method, path, endpoint] of endpoints) {
      const match = method === request.method ? path.exec(request.path) : null
      if (match) return endpoint(request, merchant, match.slice(1))
    }
    return refuse(404, 'RESOURCE_NOT_EXISTS', 'the sandbox does not know this path')
  }

  return (request) => {
    const { status, fields } = reply(request)
    const body = fields === null ? '' : JSON.stringify(fields)
    const fault = world.answerFaults.shift() ?? null
    const headers = world.platform.headers(body, request.wechatpaySerial, fault)
    return { status, contentType: 'application/json', body, errcode: null, headers }
  }
}

function certificates({ platform }: PayWorld, { apiV3Key }: SandboxMerchant): Reply {
  const data = platform.certificates().map(({ serial, certificate, from, to }) => ({
    serial_no: serial,
    effective_time: timeOf(from),
    expire_time: timeOf(to),
    encrypt_certificate: encryptResource(certificate, apiV3Key, 'certificate')
  }))
  return ok({ data })
}

function order({ orders }: PayWorld, { json }: SandboxRequest, { mchid }: SandboxMerchant): Reply {
  const wrong = (member: string) => refuse(400, 'PARAM_ERROR', `the member ${member} is missing or wrong`)
  const [appid, number, notifyUrl] = [text(json, 'appid'), text(json, 'out_trade_no'), text(json, 'notify_url')]
  const [total, openid] = [numberIn(json?.amount, 'total'), textIn(json?.payer, 'openid')]
  if (text(json, 'mchid') !== mchid) return wrong('mchid')
  if (appid === '') return wrong('appid')
  if (text(json, 'description') === '') return wrong('description')
  if (!/^[0-9A-Za-z_\-|*]{6,32}$/.test(number)) return wrong('out_trade_no')
  if (!/^https?:\/\//.test(notifyUrl)) return wrong('notify_url')
  if (total === null || total < 1) return wrong('amount.total')
  if (openid === '') return wrong('payer.openid')
  const known = orders.orders.get(keyOf(mchid, number))
  if (known?.state === 'CLOSED') return refuse(400, 'ORDER_CLOSED', 'the order is closed')
  if (known && known.state !== 'NOTPAY') return refuse(400, 'ORDERPAID', 'the order is paid')
  if (known) {
    const isSame = known.total === total && known.openid === openid && known.appid === appid
    return isSame ? ok({ prepay_id: known.prepayId }) : refuse(400, 'INVALID_REQUEST', 'the order has other members')
  }
  const made: Order = {
    ...{ appid, mchid, outTradeNo: number, notifyUrl, total, openid, attach: text(json, 'attach') },
    prepayId: newId('wx'),
    transactionId: newId('42000'),
    noticeId: newId('EV-'),
    state: 'NOTPAY',
    paidAt: 0
  }
  orders.orders.set(keyOf(mchid, number), made)
  return ok({ prepay_id: made.prepayId })
}

function query(
  { orders }: PayWorld,
  request: SandboxRequest,
  { mchid }: SandboxMerchant,
  [kind, number = '']: readonly string[]
): Reply {
  if (request.query.get('mchid') !== mchid) return refuse(400, 'PARAM_ERROR', 'the query needs the mchid')
  const found =
    kind === 'id'
      ? [...orders.orders.values()].find((one) => one.mchid === mchid && one.transactionId === number)
      : orders.orders.get(keyOf(mchid, number))
  return found ? ok(transactionOf(found)) : NO_ORDER
}

function close({ orders }: PayWorld, { json }: SandboxRequest, { mchid }: SandboxMerchant, number: string): Reply {
  const found = orders.orders.get(keyOf(mchid, number))
  if (text(json, 'mchid') !== mchid) return refuse(400, 'PARAM_ERROR', 'the member mchid is missing or wrong')
  if (!found) return NO_ORDER
  if (found.state !== 'NOTPAY') return refuse(400, 'ORDERPAID', 'the order is paid')
  found.state = 'CLOSED'
  return { status: 204, fields: null }
}

function refund({ orders, now }: PayWorld, { json }: SandboxRequest, { mchid }: SandboxMerchant): Reply {
  const found = orders.orders.get(keyOf(mchid, text(json, 'out_trade_no')))
  const [number, amount] = [text(json, 'out_refund_no'), numberIn(json?.amount, 'refund')]
  if (!found) return NO_ORDER
  if (number === '' || amount === null) return refuse(400, 'PARAM_ERROR', 'out_refund_no and amount.refund are needed')
  const known = orders.refunds.get(keyOf(mchid, number))
  if (known) return ok(refundOf(known))
  if (found.state === 'NOTPAY' || found.state === 'CLOSED')
    return refuse(400, 'INVALID_REQUEST', 'the order is not paid')
  if (amount > found.total) return refuse(403, 'NOT_ENOUGH', 'the refund exceeds the order')
  found.state = 'REFUND'
  const [refundId, noticeId] = [newId('50300'), newId('EV-')]
  const rest = { notifyUrl: text(json, 'notify_url'), createdAt: now(), state: 'PROCESSING' as const }
  const made = { order: found, outRefundNo: number, amount, refundId, noticeId, ...rest }
  orders.refunds.set(keyOf(mchid, number), made)
  return ok(refundOf(made))
}

function textIn(fields: unknown, name: string): string {
  return typeof fields === 'object' && fields !== null ? text(fields as Fields, name) : ''
}

function numberIn(fields: unknown, name: string): number | null {
  const value = typeof fields === 'object' && fields !== null ? (fields as Fields)[name] : undefined
  return typeof value === 'number' && Number.isInteger(value) ? value : null
}
