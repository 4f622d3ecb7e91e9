/** wxgate-miniprogram: the mini-program's side of wxgate. */
export type { SessionEnd } from './account'
export type {
  CallOptions,
  Client,
  ClientOptions,
  DownloadOptions,
  OpenData,
  Phone,
  PhoneDetail,
  RequestOptions,
  SessionInfo,
  UploadOptions
} from './client'
export { createClient } from './client'
export type { ClientErrorCode, WxgateError } from './errors'
export { isWxgateError } from './errors'
export type { Auth } from './exchange'
export type { SocketOptions } from './sockets'
export type { User } from './storage'
export type { Task } from './task'
export type * from './wx'
