/** A `wx` without a network: logs in by itself, and answers all other requests by a function of
 *  the test. */
import type {
  Wx,
  WxDownloadOptions,
  WxRequestOptions,
  WxTask,
  WxUploadOptions
} from '../../miniprogram/miniprogram_dist/index.d.ts'
import { startClient } from './mini-program.ts'
import { createTimers } from './timers.ts'

/** The callback of wx: a failure, an answer, or none. */
export type StubAnswer = { errMsg: string; errno?: number } | { statusCode: number; data?: unknown } | null

export type StubRequest = Partial<WxRequestOptions & WxUploadOptions & WxDownloadOptions> & { url: string }

export interface StubWx extends Wx {
  /** Called functions and requested paths, in order. */
  readonly calls: string[]
  readonly requests: StubRequest[]
  /** Decides about each request; by default the gateway logs in and the business service
   *  answers 200. */
  answer: (request: StubRequest, path: string) => StubAnswer
}

export const GRANT = {
  access_token: 'access',
  refresh_token: 'refresh',
  expires_in: 7200,
  user: { id: 'u_1', status: 'bound' }
}

export function gatewayAnswer(path: string): StubAnswer {
  return { statusCode: 200, data: path === '/auth/login' || path === '/auth/refresh' ? GRANT : {} }
}

export function createStubWx(): StubWx {
  const storage = new Map<string, unknown>()
  const send =
    (kind: string) =>
    (given: object): WxTask => {
      const request = given as StubRequest & Outcome
      const path = request.url.replace(/^[a-z]+:\/\/[^/]+/, '')
      wx.calls.push(path)
      wx.requests.push(request)
      settle(request, kind, wx.answer(request, path))
      return { abort() {} }
    }
  const wx: StubWx = {
    calls: [],
    requests: [],
    answer: (_request, path) => gatewayAnswer(path),
    login(options) {
      wx.calls.push('login')
      setImmediate(() => options.success?.({ code: `code${wx.calls.length}`, errMsg: 'login:ok' }))
    },
    checkSession(options) {
      wx.calls.push('checkSession')
      setImmediate(() => options.success?.({ errMsg: 'checkSession:ok' }))
    },
    request: send('request'),
    uploadFile: send('uploadFile'),
    downloadFile: send('downloadFile'),
    connectSocket() {
      wx.calls.push('connectSocket')
      const ignore = () => {}
      return { send: ignore, close: ignore, onOpen: ignore, onMessage: ignore, onError: ignore, onClose: ignore }
    },
    getStorageSync: (key) => storage.get(key) ?? '',
    setStorageSync: (key, value) => void storage.set(key, value),
    removeStorageSync: (key) => void storage.delete(key)
  }
  return wx
}

interface Outcome {
  success?: (result: unknown) => void
  fail?: (failure: unknown) => void
}

function settle({ success, fail }: Outcome, kind: string, answer: StubAnswer): void {
  if (answer === null) return
  setImmediate(() => {
    if ('statusCode' in answer) success?.({ data: '', header: {}, errMsg: `${kind}:ok`, ...answer })
    else fail?.(answer)
  })
}

/** A client over the stub, with timers that the test moves.
 *  @param given Wraps the stub, as Taro does. */
export function startStubClient(wx: StubWx = createStubWx(), given: Wx = wx) {
  const timers = createTimers()
  const program = startClient(given, timers.globals)
  return { wx, timers, program, client: program.createClient({ baseUrl: BASE }) }
}

export const BASE = 'https://gateway.example.com'
