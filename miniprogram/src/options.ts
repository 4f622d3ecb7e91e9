/** Checks the options of createClient. */
import { createError, type WxgateError } from './errors'
import { createUrls, type Urls } from './urls'
import type { Wx, WxLike } from './wx'

export interface ClientOptions {
  /** Address of the gateway, such as https://gateway.example.com. A token is sent nowhere else. */
  baseUrl: string
  /** Needed when the gateway serves several mini-programs. */
  appid?: string
  /** Key of the session in wx's storage. The default is made of `baseUrl` and `appid`. */
  storageKey?: string
  /** Gives WeChat the access token after each login and refresh, for data pre-fetch (数据预拉取). */
  prefetch?: boolean
  /** Replaces the global `wx`: Taro, uni, or a stub. */
  wx?: WxLike
}

export interface Settings {
  readonly wx: Wx
  readonly urls: Urls
  readonly appId: string
  readonly storageKey: string
  readonly isPrefetching: boolean
}

/** The other functions of Wx are optional. */
const REQUIRED = [
  'login',
  'checkSession',
  'request',
  'uploadFile',
  'downloadFile',
  'connectSocket',
  'getStorageSync',
  'setStorageSync',
  'removeStorageSync'
]

/** Throws `invalid_options` or `invalid_url`. */
export function readOptions(options: Partial<ClientOptions> | undefined, globalWx: unknown): Settings {
  const { baseUrl, appid: appId = '', storageKey, prefetch = false, wx = globalWx } = options ?? {}
  if (typeof baseUrl !== 'string') {
    throw invalid("createClient needs the gateway's address: createClient({ baseUrl: 'https://gateway.example.com' }).")
  }
  const urls = createUrls(baseUrl)
  const key = storageKey ?? `wxgate:${urls.base}${appId}`
  return { wx: toWx(wx), urls, appId, storageKey: key, isPrefetching: prefetch === true }
}

function toWx(candidate: unknown): Wx {
  if (candidate === undefined || candidate === null) {
    throw invalid('There is no global wx. Run createClient in a mini-program, or pass the option wx.')
  }
  const functions = candidate as { [name: string]: unknown }
  const missing = REQUIRED.filter((name) => typeof functions[name] !== 'function')
  if (missing.length > 0) throw invalid(`wx has no function ${missing.join(', ')}.`)
  return candidate as Wx
}

function invalid(detail: string): WxgateError {
  return createError({ code: 'invalid_options', detail })
}
