/** wxgate-miniprogram: the mini-program's side of wxgate. */
import type { Client } from './client'
import { createClientFactory } from './create-client'
import type { ClientOptions } from './options'
import type { Wx } from './wx'

export type { SessionEnd } from './account'
export type {
  Callbacks,
  CallOptions,
  Client,
  DownloadOptions,
  OpenData,
  Phone,
  PhoneDetail,
  RequestOptions,
  SessionInfo,
  UploadOptions
} from './client'
export type { ClientErrorCode, WxgateError } from './errors'
export { isWxgateError } from './errors'
export type { Auth } from './exchange'
export type { ClientOptions } from './options'
export type { SocketOptions } from './sockets'
export type { User } from './storage'
export type { Task } from './task'
export type {
  Wx,
  WxCallbacks,
  WxDownloadOptions,
  WxDownloadResult,
  WxFailure,
  WxFileSystem,
  WxHeaders,
  WxLike,
  WxMethod,
  WxProgress,
  WxRequestOptions,
  WxRequestResult,
  WxSocketClose,
  WxSocketOptions,
  WxSocketTask,
  WxStarted,
  WxTask,
  WxUploadOptions,
  WxUploadResult,
  WxUserCrypto,
  WxUserKey
} from './wx'

declare const wx: Wx | undefined

/** The factory is the only state of the module: WeChat's limits hold for the whole mini-program. */
export const createClient: (options: ClientOptions) => Client = createClientFactory(() =>
  typeof wx === 'undefined' ? undefined : wx
)
