/** The client: wx's own calls with a login behind them, and the gateway's endpoints. */
import { type Account, createAccount, type SessionEnd } from './account'
import { createError } from './errors'
import { type Auth, createExchange, type ExchangeOptions } from './exchange'
import { type Runtime, runtimeOf } from './runtime'
import { createSessionCalls } from './session-calls'
import { openSocket, type SocketOptions } from './sockets'
import { createStorage, type User } from './storage'
import { createTask, type Task } from './task'
import { after } from './timers'
import { createTransport, type Transport } from './transport'
import { createUrls } from './urls'
import type {
  Wx,
  WxCallbacks,
  WxDownloadOptions,
  WxDownloadResult,
  WxMethod,
  WxRequestOptions,
  WxRequestResult,
  WxSocketTask,
  WxUploadOptions,
  WxUploadResult
} from './wx'

export interface ClientOptions {
  /** The gateway, such as https://gateway.example.com. Nothing is ever sent anywhere else with a token. */
  baseUrl: string
  /** Needed where the gateway serves several mini-programs. */
  appid?: string
  /** Where in wx's storage the session is kept; named after baseUrl unless told. */
  storageKey?: string
  /** What to use in place of the global `wx`. */
  wx?: Wx
}

export interface CallOptions {
  /** `required` unless told. */
  auth?: Auth
}

export interface RequestOptions<Data = unknown>
  extends WxRequestOptions,
    WxCallbacks<WxRequestResult<Data>>,
    CallOptions {
  /** The body carries what wx has encrypted or signed with session_key, for a route with `openData: true`. */
  openData?: boolean
}

export interface UploadOptions extends WxUploadOptions, WxCallbacks<WxUploadResult>, CallOptions {}

export interface DownloadOptions extends WxDownloadOptions, WxCallbacks<WxDownloadResult>, CallOptions {}

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
  /** Seconds that the access token has left. */
  readonly expires_in: number
  readonly session_key: { readonly stored: boolean; readonly valid?: boolean }
}

export type OpenData =
  | { readonly encryptedData: string; readonly iv: string }
  | { readonly rawData: string; readonly signature: string }

export interface Client {
  /** wx.request. Resolves with whatever the business service answered; rejects with a WxgateError when the gateway refused,
   *  or when there was no answer. */
  request<Data = unknown>(options: RequestOptions<Data>): Task<WxRequestResult<Data>>
  /** wx.uploadFile. Never sent twice, but for a token that the gateway refused. */
  uploadFile(options: UploadOptions): Task<WxUploadResult>
  /** wx.downloadFile. */
  downloadFile(options: DownloadOptions): Task<WxDownloadResult>
  /** wx.connectSocket; the url may be relative, or begin with wss. */
  connectSocket(options: SocketOptions): WxSocketTask
  /** Logs in where there is no session yet. With `force`, by a new wx.login in any case. */
  login(options?: { force?: boolean }): Promise<User>
  /** The session is gone from the phone when this returns, online or not. `ended` is false when the gateway could not be told;
   *  its session then ends by itself. The next call that needs a login logs in again. */
  logout(options?: { all?: boolean }): Promise<{ ended: boolean }>
  /** Binds the number behind a code of getPhoneNumber, or behind the encryptedData of old base libraries. */
  bindPhone(detail: PhoneDetail | string): Promise<Phone>
  /** Decrypts encryptedData, or checks a signature. Rejects with `session_key_stale` when the data is of no use any more: by
   *  then the user is logged in anew, and the data has to be fetched from wx again. */
  openData<Data = { [name: string]: unknown }>(data: OpenData): Promise<{ data?: Data; valid?: boolean }>
  /** What the gateway knows of this session; `check` also asks WeChat whether session_key is valid. */
  session(options?: { check?: boolean }): Promise<SessionInfo>
  /** The user of the stored session, without asking anybody; null when there is none. */
  currentUser(): User | null
  /** Tells when a session ended, here or at the gateway. Gives the function that takes the listener away. */
  onSessionEnd(listener: (end: SessionEnd) => void): () => void
}

declare const wx: Wx | undefined

export function createClient(options: ClientOptions): Client {
  const platform = options.wx ?? (typeof wx === 'undefined' ? undefined : wx)
  if (!platform) throw createError({ code: 'invalid_url', detail: 'There is no wx here; pass one as an option.' })
  const urls = createUrls(options.baseUrl)
  const runtime = runtimeOf(platform)
  const transport = createTransport(runtime)
  const account = accountOf(runtime, transport, options, urls.base)
  const exchange = createExchange({ account, transport, runtime, urls })

  async function own<Result>(path: string, method: WxMethod, data?: object, needsSessionKey = false): Promise<Result> {
    const request: WxRequestOptions = { url: urls.resolve(path), method, ...(data ? { data } : {}) }
    const result = await exchange.perform({ kind: 'request', options: request }, { auth: 'required', needsSessionKey })
    if (result.statusCode === 200 && typeof result.data === 'object') return result.data as Result
    throw createError({ code: 'invalid_response', status: result.statusCode, detail: 'This was not the gateway.' })
  }

  return {
    request(given) {
      const { success, fail, complete, auth, openData, ...request } = given
      const settings: ExchangeOptions = { auth: auth ?? 'required', needsSessionKey: openData === true }
      const task = createTask((handle) =>
        later(() => {
          const method = request.method?.toUpperCase() as WxMethod | undefined
          const sent = { ...request, url: urls.resolve(request.url), ...(method ? { method } : {}) }
          return exchange.perform({ kind: 'request', options: sent }, settings, handle)
        })
      ) as Task<WxRequestResult<never>>
      return withCallbacks(task, { success, fail, complete } as WxCallbacks<WxRequestResult>) as Task<never>
    },

    uploadFile(given) {
      const { success, fail, complete, auth = 'required', ...upload } = given
      const task = createTask((handle) =>
        later(() => {
          const sent = { ...upload, url: urls.resolve(upload.url) }
          return exchange.perform({ kind: 'uploadFile', options: sent }, { auth, needsSessionKey: false }, handle)
        })
      )
      return withCallbacks(task as Task<unknown> as Task<WxUploadResult>, { success, fail, complete } as never)
    },

    downloadFile(given) {
      const { success, fail, complete, auth = 'required', ...download } = given
      const task = createTask((handle) =>
        later(() => {
          const sent = { ...download, url: urls.resolve(download.url) }
          return exchange.perform({ kind: 'downloadFile', options: sent }, { auth, needsSessionKey: false }, handle)
        })
      )
      return withCallbacks(task as Task<unknown> as Task<WxDownloadResult>, { success, fail, complete } as never)
    },

    connectSocket: (given) => openSocket({ account, exchange, runtime, urls }, given),

    async login({ force = false } = {}) {
      const session = await (force ? account.logInAnew(account.visit) : account.ensure(account.visit))
      return session.user
    },

    logout: async ({ all = false } = {}) => ({ ended: await account.logOut(all) }),

    async bindPhone(detail) {
      const { code, encryptedData, iv, errMsg, errno } = typeof detail === 'string' ? { code: detail } : detail
      if (!code && !(encryptedData && iv)) {
        const about = { ...(errMsg === undefined ? {} : { errMsg }), ...(errno === undefined ? {} : { errno }) }
        throw createError({ code: 'phone_refused', detail: 'getPhoneNumber gave no code.', ...about })
      }
      // A code has nothing to do with session_key. The data of old base libraries has, and a wx.login before it is used may
      // be what makes it useless.
      const bound = code
        ? await own<Phone>('/auth/phone', 'POST', { code })
        : await own<Phone>('/auth/phone', 'POST', { encryptedData, iv }, true)
      account.update(bound.user)
      return bound
    },

    openData: (data) => own('/auth/open-data', 'POST', data, true),

    async session({ check = false } = {}) {
      const info = await own<SessionInfo>(check ? '/auth/session?check=true' : '/auth/session', 'GET')
      account.update(info.user)
      return info
    },

    currentUser: () => account.current()?.user ?? null,
    onSessionEnd: (listener) => account.onEnd(listener)
  }
}

/** Clients that are the same share their session, so that one does not use up the refresh token of the other. */
function accountOf(runtime: Runtime, transport: Transport, options: ClientOptions, base: string): Account {
  const { appid: appId = '', storageKey = `wxgate:${base}${appId}` } = options
  const id = JSON.stringify([storageKey, base, appId])
  const known = runtime.accounts[id]
  if (known) return known
  const account = createAccount({
    storage: createStorage({ wx: runtime.wx, key: storageKey, base, appId }),
    calls: createSessionCalls({ base, appId, transport, getCode: runtime.login, whenShown: runtime.whenShown }),
    defer: (callback) => after(0, callback)
  })
  runtime.accounts[id] = account
  return account
}

/** What `start` throws at once becomes a rejection. */
function later<Result>(start: () => Promise<Result>): Promise<Result> {
  return Promise.resolve().then(start)
}

/** As with wx: who gives callbacks need not look at the promise. */
function withCallbacks<Result>(task: Task<Result>, callbacks: WxCallbacks<Result>): Task<Result> {
  const { success, fail, complete } = callbacks
  if (success || fail || complete) {
    task.then(
      (result) => {
        success?.(result)
        complete?.(result)
      },
      (error) => {
        fail?.(error)
        complete?.(error)
      }
    )
  }
  return task
}
