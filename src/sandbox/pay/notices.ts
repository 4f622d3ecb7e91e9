/** Sends notices of payments and refunds, as the pay API does. */
import { type Order, type Orders, type Refund, refundOf, timeOf, transactionOf } from './orders.ts'
import { encryptResource, type Platform, SIGNATURE_FAULTS, type SignatureFault } from './platform.ts'

/** A notice that no receiver may accept. */
export const NOTICE_FAULTS = [...SIGNATURE_FAULTS, 'undecryptable', 'other-app', 'other-merchant'] as const
export type NoticeFault = (typeof NOTICE_FAULTS)[number]

export interface Notice {
  readonly id: string
  readonly event: string
  readonly originalType: string
  readonly summary: string
  readonly resource: Readonly<Record<string, unknown>>
}

export function paymentNotice(order: Order): Notice {
  const resource = transactionOf(order)
  return {
    id: order.noticeId,
    event: 'TRANSACTION.SUCCESS',
    originalType: 'transaction',
    summary: '支付成功',
    resource
  }
}

export function refundNotice(refund: Refund): Notice {
  const { status, ...shown } = refundOf(refund)
  const resource = { mchid: refund.order.mchid, ...shown, refund_status: status }
  return { id: refund.noticeId, event: 'REFUND.SUCCESS', originalType: 'refund', summary: '退款成功', resource }
}

export interface NoticeOptions {
  readonly platform: Platform
  readonly now: () => number
  readonly apiV3Key: string
  /** `public`: signed with the public key of WeChat Pay in place of the newest certificate. */
  readonly key: 'certificate' | 'public'
  readonly fault: NoticeFault | null
}

/** Headers and body of a notice. */
export function writeNotice(notice: Notice, { platform, now, apiV3Key, key, fault }: NoticeOptions) {
  const resource = {
    ...notice.resource,
    ...(fault === 'other-app' ? { appid: 'wx0000000000000000' } : {}),
    ...(fault === 'other-merchant' ? { mchid: '1000000000' } : {})
  }
  const secret = fault === 'undecryptable' ? '0'.repeat(32) : apiV3Key
  const body = JSON.stringify({
    id: notice.id,
    create_time: timeOf(now()),
    resource_type: 'encrypt-resource',
    event_type: notice.event,
    summary: notice.summary,
    resource: {
      original_type: notice.originalType,
      ...encryptResource(JSON.stringify(resource), secret, notice.originalType)
    }
  })
  const wanted = key === 'public' ? platform.publicKey().id : ''
  return {
    body,
    headers: { ...platform.headers(body, wanted, signatureFault(fault)), 'content-type': 'application/json' }
  }
}

function signatureFault(fault: NoticeFault | null): SignatureFault | null {
  return SIGNATURE_FAULTS.find((one) => one === fault) ?? null
}

/** The receiver's status and body; status 0 without an answer within five seconds. */
export async function sendNotice(
  url: string,
  { headers, body }: ReturnType<typeof writeNotice>
): Promise<{ readonly status: number; readonly body: string }> {
  try {
    const signal = AbortSignal.timeout(5_000)
    const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal })
    return { status: response.status, body: await response.text() }
  } catch {
    return { status: 0, body: '' }
  }
}

/** Takes the step that the notice reports: the user pays, or the refund succeeds. */
export function settle(orders: Orders, key: string, now: number): { notice: Notice; url: string } | null {
  const refund = orders.refunds.get(key)
  if (refund) {
    refund.state = 'SUCCESS'
    return { notice: refundNotice(refund), url: refund.notifyUrl || refund.order.notifyUrl }
  }
  const order = orders.orders.get(key)
  if (!order || order.state === 'CLOSED') return null
  if (order.state === 'NOTPAY') Object.assign(order, { state: 'SUCCESS', paidAt: now })
  return { notice: paymentNotice(order), url: order.notifyUrl }
}
