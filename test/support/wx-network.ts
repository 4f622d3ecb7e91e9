/** wx.request, wx.uploadFile and wx.downloadFile of the test `wx`. */
import { Agent } from 'node:http'
import type {
  Wx,
  WxDownloadOptions,
  WxFailure,
  WxMethod,
  WxRequestOptions,
  WxTask,
  WxUploadOptions
} from '../../miniprogram/miniprogram_dist/index.d.ts'
import {
  decode,
  encodeMultipart,
  encodeRequest,
  follow,
  type HttpAnswer,
  type HttpSend,
  isChunked,
  sendHttp,
  toArrayBuffer
} from './wx-http.ts'

const METHODS = ['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT']
const MAX_PARALLEL = 10

export interface Sent {
  readonly kind: 'request' | 'uploadFile' | 'downloadFile' | 'connectSocket'
  readonly method: string
  readonly url: string
  readonly header: Readonly<Record<string, string>>
}

export interface WxNetwork extends Pick<Wx, 'request' | 'uploadFile' | 'downloadFile'> {
  readonly sent: Sent[]
  readonly peak: number
  /** Returns the headers to send; null when WeChat refuses the call, whose `fail` is then
   *  called. */
  check(kind: Sent['kind'], options: Network, method: string): Record<string, string> | null
  setHidden(isHidden: boolean): void
  close(): void
}

export interface WxNetworkOptions {
  readonly domains: readonly string[] | undefined
  readonly interruptAfter: number
  readonly files: Map<string, Buffer>
  /** Called with the broken rule of WeChat. */
  readonly forbid: (rule: string) => void
}

export function createWxNetwork({ domains, interruptAfter, files, forbid }: WxNetworkOptions): WxNetwork {
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  const interrupts = new Set<() => void>()
  const sent: Sent[] = []
  let isHidden = false
  let parallel = 0
  let peak = 0

  /** Starts one request, upload or download. */
  function start(kind: Sent['kind'], options: Network, send: (watch: Watch) => Promise<HttpAnswer>): WxTask {
    const { success, fail, complete } = options as Callbacks
    const controller = new AbortController()
    const headersListeners: ((result: { header: Record<string, string>; statusCode: number }) => void)[] = []
    const chunkListeners: ((result: { data: ArrayBuffer }) => void)[] = []
    const watch: Watch = {
      signal: controller.signal,
      onHead(statusCode, header) {
        for (const listener of headersListeners) listener({ header, statusCode })
      },
      onChunk(chunk) {
        if (!isChunked(options)) return
        for (const listener of chunkListeners) listener({ data: toArrayBuffer(chunk) })
      }
    }
    let stopped = ''
    const stop = (reason: string) => {
      stopped ||= reason
      controller.abort()
    }
    const timer = setTimeout(() => stop('timeout'), options.timeout ?? 60_000)
    let hidden: NodeJS.Timeout | undefined
    const interrupt = () => {
      hidden = setTimeout(() => stop('interrupted'), interruptAfter)
    }
    if (isHidden) interrupt()
    interrupts.add(interrupt)
    parallel++
    peak = Math.max(peak, parallel)
    if (parallel > MAX_PARALLEL) forbid(`at most ${MAX_PARALLEL} requests, uploads and downloads at a time`)
    const end = () => {
      parallel--
      clearTimeout(timer)
      clearTimeout(hidden)
      interrupts.delete(interrupt)
    }
    setImmediate(() => {
      send(watch).then(
        (answer) => {
          end()
          const result = describe(kind, options, answer)
          success?.(result)
          complete?.(result)
        },
        (error: Error) => {
          end()
          const failure: WxFailure = {
            errMsg: `${kind}:fail ${stopped || error.message}`,
            ...(stopped === 'interrupted' ? { errno: 600003 } : { errno: 600001 })
          }
          fail?.(failure)
          complete?.(failure)
        }
      )
    })
    return {
      abort: () => stop('abort'),
      onHeadersReceived: (listener) => void headersListeners.push(listener),
      onProgressUpdate() {},
      onChunkReceived: (listener) => void chunkListeners.push(listener)
    }
  }

  /** Refuses the calls that WeChat refuses before sending. */
  function check(kind: Sent['kind'], options: Network, method: string): Record<string, string> | null {
    const header: Record<string, string> = {}
    for (const [name, value] of Object.entries(options.header ?? {})) {
      if (name.toLowerCase() === 'referer') forbid('Referer cannot be set')
      else header[name] = String(value)
    }
    if (!METHODS.includes(method)) forbid(`no method ${method}`)
    let origin = ''
    try {
      origin = new URL(options.url).origin.replace(/^ws/, 'http')
    } catch {
      return refuse(kind, options, 600009, 'invalid url')
    }
    if (domains && !domains.includes(origin)) return refuse(kind, options, 600002, 'url not in domain list')
    header.referer = 'https://servicewechat.com/wx1234567890abcdef/devtools/page-frame.html'
    sent.push({ kind, method, url: options.url, header })
    return header
  }

  function refuse(kind: string, options: Network, errno: number, reason: string): null {
    const failure = { errMsg: `${kind}:fail ${reason}`, errno }
    setImmediate(() => {
      const { fail, complete } = options as Callbacks
      fail?.(failure)
      complete?.(failure)
    })
    return null
  }

  function describe(kind: Sent['kind'], options: Network, { statusCode, header, body }: HttpAnswer) {
    const errMsg = `${kind}:ok`
    if (kind === 'uploadFile') return { data: body.toString('utf8'), statusCode, errMsg }
    if (kind === 'downloadFile') {
      const filePath = (options as WxDownloadOptions).filePath
      const tempFilePath = filePath ?? `http://tmp/${files.size}.bin`
      files.set(tempFilePath, body)
      return { ...(filePath === undefined ? { tempFilePath } : { filePath }), statusCode, errMsg }
    }
    const { dataType = 'json', responseType = 'text' } = options as WxRequestOptions
    if (isChunked(options)) return { data: '', statusCode, header, cookies: [], errMsg }
    return { data: decode(body, dataType, responseType), statusCode, header, cookies: [], errMsg }
  }

  return {
    sent,
    check,
    get peak() {
      return peak
    },
    close: () => agent.destroy(),
    setHidden(next) {
      isHidden = next
      if (isHidden) for (const interrupt of interrupts) interrupt()
    },

    request(options) {
      const method = options.method ?? 'GET'
      const header = check('request', options, method)
      if (!header) return idleTask
      const { url, body, type } = encodeRequest(method, options, header)
      return start('request', options, (watch) =>
        follow(url, options.redirect === 'manual', (address, isFirst) =>
          sendHttp({
            agent,
            url: address,
            method: isFirst ? method : 'GET',
            header: type === null ? header : { 'content-type': type, ...header },
            body: isFirst ? body : null,
            ...watch
          })
        )
      )
    },

    uploadFile(options) {
      const header = check('uploadFile', options, 'POST')
      if (!header) return idleTask
      const file = files.get(options.filePath)
      if (!file) {
        refuse('uploadFile', options, 600000, "file doesn't exist")
        return idleTask
      }
      const { body, type } = encodeMultipart(options, file)
      return start('uploadFile', options, (watch) =>
        sendHttp({
          agent,
          url: options.url,
          method: 'POST',
          header: { ...header, 'content-type': type },
          body,
          ...watch
        })
      )
    },

    downloadFile(options) {
      const header = check('downloadFile', options, 'GET')
      if (!header) return idleTask
      return start('downloadFile', options, (watch) =>
        follow(options.url, false, (url) => sendHttp({ agent, url, method: 'GET', header, body: null, ...watch }))
      )
    }
  }
}

export type Network = (WxRequestOptions | WxUploadOptions | WxDownloadOptions) & { method?: WxMethod; timeout?: number }

export interface Callbacks {
  success?: (result: unknown) => void
  fail?: (failure: WxFailure) => void
  complete?: (result: unknown) => void
}

type Watch = Required<Pick<HttpSend, 'signal' | 'onHead' | 'onChunk'>>

const idleTask: WxTask = { abort() {} }
