/** Orders and refunds of the sandbox. */
import { randomBytes } from 'node:crypto'
import { createBoundedMap } from '../bounded-map.ts'

export type Fields = Readonly<Record<string, unknown>>

export interface Order {
  readonly appid: string
  readonly mchid: string
  readonly outTradeNo: string
  readonly prepayId: string
  readonly transactionId: string
  readonly notifyUrl: string
  readonly total: number
  readonly openid: string
  readonly attach: string
  /** Equal for every notice about the payment. */
  readonly noticeId: string
  state: 'NOTPAY' | 'SUCCESS' | 'CLOSED' | 'REFUND'
  paidAt: number
}

export interface Refund {
  readonly order: Order
  readonly outRefundNo: string
  readonly refundId: string
  readonly notifyUrl: string
  readonly amount: number
  readonly noticeId: string
  readonly createdAt: number
  state: 'PROCESSING' | 'SUCCESS'
}

export interface Orders {
  readonly orders: Map<string, Order>
  readonly refunds: Map<string, Refund>
  clear(): void
}

export function createOrders(): Orders {
  const orders = createBoundedMap<string, Order>()
  const refunds = createBoundedMap<string, Refund>()
  return {
    orders,
    refunds,
    clear() {
      for (const map of [orders, refunds]) map.clear()
    }
  }
}

/** Key of an order or a refund: numbers are unique for a merchant. */
export const keyOf = (mchid: string, number: string): string => `${mchid} ${number}`

/** Ids in the form of WeChat's. */
export const newId = (prefix: string): string => `${prefix}${BigInt(`0x${randomBytes(12).toString('hex')}`)}`

/** As `/v3/pay/transactions/…` and a notice show an order. */
export function transactionOf({ paidAt, ...order }: Order): Fields {
  const isPaid = order.state === 'SUCCESS' || order.state === 'REFUND'
  const amount = { total: order.total, currency: 'CNY' }
  return {
    appid: order.appid,
    mchid: order.mchid,
    out_trade_no: order.outTradeNo,
    trade_state: order.state,
    trade_state_desc: order.state,
    ...(order.attach === '' ? {} : { attach: order.attach }),
    amount: isPaid ? { ...amount, payer_total: order.total, payer_currency: 'CNY' } : amount,
    payer: { openid: order.openid },
    ...(isPaid
      ? {
          transaction_id: order.transactionId,
          trade_type: 'JSAPI',
          bank_type: 'OTHERS',
          success_time: timeOf(paidAt)
        }
      : {})
  }
}

/** As the refund API shows a refund; a notice names the state `refund_status`. */
export function refundOf(refund: Refund): Fields {
  const { order, outRefundNo, refundId, amount, state, createdAt } = refund
  return {
    refund_id: refundId,
    out_refund_no: outRefundNo,
    transaction_id: order.transactionId,
    out_trade_no: order.outTradeNo,
    channel: 'ORIGINAL',
    user_received_account: 'the balance of the user',
    create_time: timeOf(createdAt),
    status: state,
    amount: { total: order.total, refund: amount, payer_total: order.total, payer_refund: amount, currency: 'CNY' }
  }
}

/** RFC 3339, in the time of China. */
export function timeOf(ms: number): string {
  return new Date(ms + 8 * 3_600_000).toISOString().replace(/\.\d+Z$/, '+08:00')
}
