/** The client that a mini-program uses. */
import type { SessionEnd } from './account'
import type { WxgateError } from './errors'
import type { Auth } from './exchange'
import type { SocketOptions } from './sockets'
import type { User } from './storage'
import type { Task } from './task'
import type {
  WxDownloadOptions,
  WxDownloadResult,
  WxRequestOptions,
  WxRequestResult,
  WxSocketTask,
  WxUploadOptions,
  WxUploadResult
} from './wx'

/** Callbacks as wx calls them. With any of them the promise needs no handler. */
export interface Callbacks<Result> {
  success?: ((result: Result) => void) | undefined
  fail?: ((error: WxgateError) => void) | undefined
  complete?: ((result: Result | WxgateError) => void) | undefined
}

export interface CallOptions {
  /** Default: `required`. */
  auth?: Auth
}

export interface RequestOptions<Data = unknown>
  extends WxRequestOptions,
    Callbacks<WxRequestResult<Data>>,
    CallOptions {
  /** The body carries data that wx encrypted or signed with session_key, for a route with
   *  `openData: true`. */
  openData?: boolean
  /** Encrypts body and answer with the user's key, for a route with `channel: true`. Needs base
   *  library 2.17.3. */
  channel?: boolean
}

export interface UploadOptions extends WxUploadOptions, Callbacks<WxUploadResult>, CallOptions {}

export interface DownloadOptions extends WxDownloadOptions, Callbacks<WxDownloadResult>, CallOptions {}

/** `event.detail` of `<button open-type="getPhoneNumber">`. */
export interface PhoneDetail {
  readonly code?: string
  readonly encryptedData?: string
  readonly iv?: string
  readonly errMsg?: string
  readonly errno?: number
}

export interface Phone {
  readonly phone: { readonly masked: string; readonly country_code: string }
  readonly user: User
}

export interface SessionInfo {
  readonly user: User
  readonly appid: string
  /** Seconds until the access token ends. */
  readonly expires_in: number
  readonly session_key: { readonly stored: boolean; readonly valid?: boolean }
}

export type OpenData =
  | { readonly encryptedData: string; readonly iv: string }
  | { readonly rawData: string; readonly signature: string }

export interface Client {
  /** wx.request. Resolves with every answer of the business service. Rejects with a WxgateError
   *  when the gateway refused, or there was no answer. */
  request<Data = unknown>(options: RequestOptions<Data>): Task<WxRequestResult<Data>>
  /** wx.uploadFile. Sent again only when the gateway refused the token. */
  uploadFile(options: UploadOptions): Task<WxUploadResult>
  /** wx.downloadFile. */
  downloadFile(options: DownloadOptions): Task<WxDownloadResult>
  /** wx.connectSocket. The url may be relative, or start with wss. */
  connectSocket(options: SocketOptions): WxSocketTask
  /** Logs in when there is no session. With `force`, always by a new wx.login. */
  login(options?: { force?: boolean }): Promise<User>
  /** Removes the session from the phone before it returns, online or not. `ended` is false when
   *  the gateway could not be reached: its session then lives until its tokens expire. The next
   *  call that needs a login logs in again. */
  logout(options?: { all?: boolean }): Promise<{ ended: boolean }>
  /** Binds the number behind a code of getPhoneNumber, or behind the encryptedData of old base
   *  libraries. */
  bindPhone(detail: PhoneDetail | string): Promise<Phone>
  /** Decrypts encryptedData, or checks a signature. Rejects with `session_key_stale` when the
   *  data can no longer be read: the user is then logged in again, and the data must be fetched
   *  from wx again. */
  openData<Data = { [name: string]: unknown }>(data: OpenData): Promise<{ data?: Data; valid?: boolean }>
  /** Asks the gateway about this session; with `check`, also asks WeChat whether session_key is
   *  valid. */
  session(options?: { check?: boolean }): Promise<SessionInfo>
  /** Returns the user of the stored session at once, or null. */
  currentUser(): User | null
  /** Calls the listener when a session ended, on the phone or at the gateway. Returns the
   *  function that removes it. */
  onSessionEnd(listener: (end: SessionEnd) => void): () => void
}
