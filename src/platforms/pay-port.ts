/** The capability of payments in the port of a mini-program platform. */

/** A merchant as configured: apps[].pay. */
export interface PayMerchant {
  readonly mchId: string
  /** Of the merchant certificate, in upper-case hex. */
  readonly serialNo: string
  /** In PEM. */
  readonly privateKey: string
  readonly apiV3Key: string
  /** Null without the older API. */
  readonly apiV2Key: string | null
  /** `publicKey` in PEM; empty when certificates are fetched. */
  readonly platformKeys: readonly { readonly serial: string; readonly publicKey: string }[]
}

export type PaySignType = 'RSA' | 'MD5' | 'HMAC-SHA256'

/** Arguments of wx.requestPayment. */
export interface PayParams {
  readonly timeStamp: string
  readonly nonceStr: string
  readonly package: string
  readonly signType: PaySignType
  readonly paySign: string
}

/** `ambiguous`: not in its canonical form. `foreign`: outside the API. `certificates`: the gateway
 *  keeps these itself. `unverifiable`: the platform does not sign the answer, or takes no JSON. */
export type PayTarget = 'plain' | 'ambiguous' | 'foreign' | 'certificates' | 'unverifiable'

export interface PayCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Path and query. */
  readonly target: string
  /** JSON; empty for none. */
  readonly body: string
}

export interface PayAnswer {
  readonly status: number
  readonly contentType: string | null
  readonly body: Buffer
}

export interface PayNotice {
  /** Equal for every delivery of one notice. */
  readonly key: string
  /** The order, or the key for a notice without one. */
  readonly lane: string
  /** The payer in this mini-program; null for a notice without one. */
  readonly openId: string | null
  readonly event: string
  /** The notice as JSON, its resource decrypted. */
  readonly json: string
}

/** A certificate that the platform published. Times are milliseconds since the epoch. */
export interface PlatformCertificateState {
  readonly serial: string
  readonly subject: string
  readonly issuer: string
  readonly from: number
  readonly to: number
}

export interface PayCapability {
  /** Those that were fetched so far, for an operator. */
  certificates(merchant: PayMerchant): readonly PlatformCertificateState[]
  params(appId: string, merchant: PayMerchant, prepayId: string, signType: PaySignType): Promise<PayParams>
  /** Decides whether a backend may call this target. */
  judge(target: string): PayTarget
  /** Sends a signed call at most once. A status of 400 or more may come without a signature; any
   *  other answer is verified. */
  request(merchant: PayMerchant, call: PayCall): Promise<PayAnswer>
  /** The reason, for a log, for a notice that the platform did not sign for this app.
   *  @param headers By name in lower case. */
  readNotice(
    appId: string,
    merchant: PayMerchant,
    headers: Readonly<Record<string, string | string[] | undefined>>,
    body: Buffer
  ): Promise<PayNotice | string>
}
