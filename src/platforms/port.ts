/** The answers that the rest of the program can get from api.weixin.qq.com. Wire names stay in this folder. */

export interface LoginExchange {
  readonly openId: string
  readonly unionId: string | null
  /** base64 text of 16 bytes, as WeChat gave it. */
  readonly sessionKey: string
}

/** Every call settles within `wechat.timeout` and throws an ApiError of the catalogue for anything but success. */
export interface WeChat {
  /** Exchanges a code of wx.login (GET /sns/jscode2session). Never repeated once the code may have been spent. */
  login(app: PlatformApp, code: string): Promise<LoginExchange>
  /** GET /wxa/checksession with the login-state signature of an empty body: whether WeChat still knows this key. */
  checkSession(app: PlatformApp, openId: string, sessionKey: string): Promise<boolean>
  /** GET /wxa/resetusersessionkey: the new key; 409 session_key_stale where WeChat no longer knows the old one. */
  resetSession(app: PlatformApp, openId: string, sessionKey: string): Promise<string>
  /** POST /wxa/business/getuserphonenumber, bound to the openid. */
  phoneNumber(app: PlatformApp, openId: string, code: string): Promise<Phone>
  close(): Promise<void>
}

export interface PlatformApp {
  readonly appId: string
  readonly secret: string
}

export interface Phone {
  /** With the country code where it is not a mainland number. */
  readonly phoneNumber: string
  readonly purePhoneNumber: string
  readonly countryCode: string
}
