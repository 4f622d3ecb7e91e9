/** A `wx` over node:http with the functions that the client uses. It behaves as the base
 *  library does, and fails the test when the client breaks a limit of WeChat. */
import { WebSocket } from 'undici'
import type { Wx, WxSocketTask } from '../../miniprogram/miniprogram_dist/index.d.ts'
import type { Teardown } from './listen.ts'
import { createWxNetwork, type Sent } from './wx-network.ts'

const MAX_SOCKETS = 5
const MAX_PER_SECOND = 4

export interface TestWxOptions {
  /** The user of the sandbox who holds the phone. */
  readonly name?: string
  /** Storage of an earlier run. */
  readonly storage?: Map<string, string>
  /** Origins that the mini-program may call. Default: all. */
  readonly domains?: readonly string[]
  /** Milliseconds that a request continues in the background. A phone gives it five seconds. */
  readonly interruptAfter?: number
}

export interface TestWx extends Wx {
  /** Every call that reached the network. */
  readonly sent: Sent[]
  readonly storage: Map<string, string>
  readonly files: Map<string, Buffer>
  /** Number of calls of wx.login and wx.checkSession. */
  readonly calls: { login: number; checkSession: number }
  /** Largest number of requests, uploads and downloads at once. */
  readonly peak: number
  /** Codes that wx.login returns before it makes new ones. */
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
  const open = new Set<WebSocket>()
  const listeners = { show: [] as (() => void)[], hide: [] as (() => void)[] }
  const times: Record<'login' | 'checkSession', number[]> = { login: [], checkSession: [] }
  const files = new Map<string, Buffer>()
  const network = createWxNetwork({ domains, interruptAfter, files, forbid })
  t.teardown(() => {
    network.close()
    for (const socket of open) socket.close()
  })

  function forbid(rule: string): void {
    t.fail(`WeChat's rule was broken: ${rule}`)
  }

  /** Counts the call. Fails the test when the user made too many in one second. */
  function isTooOften(call: 'login' | 'checkSession'): boolean {
    wx.calls[call]++
    const now = performance.now()
    times[call] = times[call].filter((time) => now - time < 1000)
    times[call].push(now)
    if (times[call].length <= MAX_PER_SECOND) return false
    forbid(`wx.${call} at most ${MAX_PER_SECOND} times a second`)
    return true
  }

  const wx: TestWx = {
    sent: network.sent,
    storage,
    files,
    calls: { login: 0, checkSession: 0 },
    get peak() {
      return network.peak
    },
    codes: [],
    isSessionKeyValid: true,
    isLoginBroken: false,
    isStorageBroken: false,

    hide() {
      network.setHidden(true)
      for (const listener of listeners.hide) listener()
    },
    show() {
      network.setHidden(false)
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

    request: network.request,
    uploadFile: network.uploadFile,
    downloadFile: network.downloadFile,

    connectSocket(options): WxSocketTask {
      const header = network.check('connectSocket', options, 'GET')
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
        // wx reports a failed handshake by onError alone.
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
