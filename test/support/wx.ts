/** WeChat's `wx` as far as the mini-program client uses it, over node:http. It behaves as the base library does where that
 *  is known, and fails the test where the mini-program breaks a rule that WeChat would punish later. */
import { Agent } from 'node:http'
import { WebSocket } from 'undici'
import type {
  Wx,
  WxDownloadOptions,
  WxFailure,
  WxMethod,
  WxRequestOptions,
  WxSocketTask,
  WxTask,
  WxUploadOptions
} from '../../miniprogram/miniprogram_dist/index.d.ts'
import type { Teardown } from './gateway.ts'
import { encodeMultipart, encodeRequest, type HttpAnswer, type HttpSend, sendHttp } from './wx-http.ts'

const METHODS = ['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT']
const MAX_PARALLEL = 10
const MAX_SOCKETS = 5
const MAX_PER_SECOND = 4

export interface TestWxOptions {
  /** The user of the sandbox who holds the phone. */
  readonly name?: string
  /** What an earlier run left behind. */
  readonly storage?: Map<string, string>
  /** Origins that the mini-program may call; all when left out. */
  readonly domains?: readonly string[]
  /** Milliseconds that a request goes on in the background; five seconds on a phone. */
  readonly interruptAfter?: number
}

export interface Sent {
  readonly kind: 'request' | 'uploadFile' | 'downloadFile' | 'connectSocket'
  readonly method: string
  readonly url: string
  readonly header: Readonly<Record<string, string>>
}

export interface TestWx extends Wx {
  /** Every call that reached the network. */
  readonly sent: Sent[]
  readonly storage: Map<string, string>
  readonly files: Map<string, Buffer>
  /** How often wx.login and wx.checkSession were called. */
  readonly calls: { login: number; checkSession: number }
  /** The most requests, uploads and downloads that were under way at once. */
  readonly peak: number
  /** Given out by wx.login before any fresh ones. */
  readonly codes: string[]
  isSessionKeyValid: boolean
  isLoginBroken: boolean
  isStorageBroken: boolean
  hide(): void
  show(): void
}

interface Failing extends Teardown {
  fail(message: string): unknown
}

let codesGiven = 0

export function createWx(t: Failing, options: TestWxOptions = {}): TestWx {
  const { name = 'alice', storage = new Map<string, string>(), domains, interruptAfter = 30 } = options
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  const open = new Set<WebSocket>()
  const interrupts = new Set<() => void>()
  const listeners = { show: [] as (() => void)[], hide: [] as (() => void)[] }
  const times: Record<'login' | 'checkSession', number[]> = { login: [], checkSession: [] }
  let isHidden = false
  let parallel = 0
  let peak = 0
  t.teardown(() => {
    agent.destroy()
    for (const socket of open) socket.close()
  })

  function forbid(rule: string): void {
    t.fail(`WeChat's rule was broken: ${rule}`)
  }

  /** Calls that count per user and second. */
  function isTooOften(call: 'login' | 'checkSession'): boolean {
    wx.calls[call]++
    const now = performance.now()
    times[call] = times[call].filter((time) => now - time < 1000)
    times[call].push(now)
    if (times[call].length <= MAX_PER_SECOND) return false
    forbid(`wx.${call} at most ${MAX_PER_SECOND} times a second`)
    return true
  }

  /** One request, upload or download: what they have in common. */
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
    // Callbacks never run within the call.
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

  /** Refuses as WeChat does before anything is sent. */
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
    wx.sent.push({ kind, method, url: options.url, header })
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

  /** The base library follows redirects with the headers it was given. */
  async function follow(
    first: string,
    isManual: boolean,
    send: (url: string, isFirst: boolean) => Promise<HttpAnswer>
  ): Promise<HttpAnswer> {
    let url = first
    for (let hop = 0; ; hop++) {
      const answer = await send(url, hop === 0)
      const location = Object.entries(answer.header).find(([name]) => name.toLowerCase() === 'location')?.[1]
      if (isManual || hop >= 5 || location === undefined || answer.statusCode < 300 || answer.statusCode > 399) {
        return answer
      }
      url = new URL(location, url).href
    }
  }

  function describe(kind: Sent['kind'], options: Network, { statusCode, header, body }: HttpAnswer) {
    const errMsg = `${kind}:ok`
    if (kind === 'uploadFile') return { data: body.toString('utf8'), statusCode, errMsg }
    if (kind === 'downloadFile') {
      const filePath = (options as WxDownloadOptions).filePath
      const tempFilePath = filePath ?? `http://tmp/${wx.files.size}.bin`
      wx.files.set(tempFilePath, body)
      return { ...(filePath === undefined ? { tempFilePath } : { filePath }), statusCode, errMsg }
    }
    const { dataType = 'json', responseType = 'text' } = options as WxRequestOptions
    if (isChunked(options)) return { data: '', statusCode, header, cookies: [], errMsg }
    return { data: decode(body, dataType, responseType), statusCode, header, cookies: [], errMsg }
  }

  const wx: TestWx = {
    sent: [],
    storage,
    files: new Map(),
    calls: { login: 0, checkSession: 0 },
    get peak() {
      return peak
    },
    codes: [],
    isSessionKeyValid: true,
    isLoginBroken: false,
    isStorageBroken: false,

    hide() {
      isHidden = true
      for (const interrupt of interrupts) interrupt()
      for (const listener of listeners.hide) listener()
    },
    show() {
      isHidden = false
      for (const listener of listeners.show) listener()
    },
    onAppShow: (listener) => void listeners.show.push(listener),
    onAppHide: (listener) => void listeners.hide.push(listener),

    login({ success, fail, complete }) {
      const isRefused = isTooOften('login') || wx.isLoginBroken
      setImmediate(() => {
        if (isRefused) {
          const failure = { errMsg: 'login:fail internal error', errno: 1_000_000 }
          fail?.(failure)
          complete?.(failure)
          return
        }
        wx.isSessionKeyValid = true
        const code = wx.codes.shift() ?? `sandbox-${name}-${process.pid}x${++codesGiven}`
        const result = { code, errMsg: 'login:ok' }
        success?.(result)
        complete?.(result)
      })
    },

    checkSession({ success, fail, complete }) {
      const isRefused = isTooOften('checkSession') || !wx.isSessionKeyValid
      setImmediate(() => {
        const result = { errMsg: isRefused ? 'checkSession:fail session time out' : 'checkSession:ok' }
        if (isRefused) fail?.(result)
        else success?.(result)
        complete?.(result)
      })
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
      const file = wx.files.get(options.filePath)
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
    },

    connectSocket(options): WxSocketTask {
      const header = check('connectSocket', options, 'GET')
      if (open.size >= MAX_SOCKETS) forbid(`at most ${MAX_SOCKETS} sockets at a time`)
      const socket = new WebSocket(options.url, { headers: header ?? {}, protocols: options.protocols ?? [] })
      let isFailed = false
      open.add(socket)
      socket.addEventListener('close', () => open.delete(socket))
      const { success, complete } = options
      setImmediate(() => {
        const result = { errMsg: 'connectSocket:ok' }
        success?.(result)
        complete?.(result)
      })
      return {
        send: ({ data, success, fail }) => {
          if (socket.readyState !== WebSocket.OPEN) {
            fail?.({ errMsg: 'sendSocketMessage:fail SocketTask.readyState is not OPEN' })
            return
          }
          socket.send(data)
          success?.({ errMsg: 'sendSocketMessage:ok' })
        },
        close: ({ code, reason, success } = {}) => {
          socket.close(code, reason)
          success?.({ errMsg: 'closeSocket:ok' })
        },
        onOpen: (listener) => socket.addEventListener('open', () => listener({ header: {} })),
        onMessage: (listener) => socket.addEventListener('message', ({ data }) => listener({ data })),
        onError: (listener) =>
          socket.addEventListener('error', () => {
            isFailed = true
            listener({ errMsg: 'connectSocket:fail Invalid HTTP status.' })
          }),
        // A handshake that failed is told by onError alone.
        onClose: (listener) =>
          socket.addEventListener('close', ({ code, reason }) => {
            if (!isFailed) listener({ code, reason })
          })
      }
    },

    getStorageSync(key) {
      if (wx.isStorageBroken) throw new Error('getStorageSync:fail')
      const stored = storage.get(key)
      return stored === undefined ? '' : JSON.parse(stored)
    },
    setStorageSync(key, value) {
      if (wx.isStorageBroken) throw new Error('setStorageSync:fail exceed storage max size 10Mb')
      storage.set(key, JSON.stringify(value))
    },
    removeStorageSync(key) {
      if (wx.isStorageBroken) throw new Error('removeStorageSync:fail')
      storage.delete(key)
    },
    getFileSystemManager: () => ({
      readFile({ filePath, success, fail }) {
        const file = wx.files.get(filePath)
        setImmediate(() => {
          if (file) success?.({ data: file.toString('utf8') })
          else fail?.({ errMsg: `readFile:fail no such file or directory, open "${filePath}"` })
        })
      }
    })
  }
  return wx
}

type Network = (WxRequestOptions | WxUploadOptions | WxDownloadOptions) & { method?: WxMethod; timeout?: number }

interface Callbacks {
  success?: (result: unknown) => void
  fail?: (failure: WxFailure) => void
  complete?: (result: unknown) => void
}

type Watch = Required<Pick<HttpSend, 'signal' | 'onHead' | 'onChunk'>>

const idleTask: WxTask = { abort() {} }

function decode(body: Buffer, dataType: string, responseType: string): unknown {
  if (responseType === 'arraybuffer') return toArrayBuffer(body)
  const text = body.toString('utf8')
  if (dataType !== 'json') return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

/** The body then comes in chunks, and only so. */
function isChunked(options: object): boolean {
  return (options as WxRequestOptions).enableChunked === true
}
