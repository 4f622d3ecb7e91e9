/** One wx.request, wx.uploadFile or wx.downloadFile: waits for its place, and reads the
 *  gateway's error from the answer. */
import { createError, fromWxFailure, isWxgateError, type WxgateError } from './errors'
import { isProblemType, readProblem } from './problem'
import type { Queue } from './queue'
import { createStarted } from './started'
import type { Handle } from './task'
import { after } from './timers'
import type {
  Wx,
  WxDownloadOptions,
  WxDownloadResult,
  WxFailure,
  WxHeaders,
  WxProgress,
  WxRequestOptions,
  WxRequestResult,
  WxStarted,
  WxUploadOptions,
  WxUploadResult
} from './wx'
import { callWx, GRACE_MS, type Outcome } from './wx-call'

/** For calls without a `timeout`: app.json may set one that the client cannot read. */
const DEFAULT_TIMEOUT_MS = 120_000
const READ_TIMEOUT_MS = 5_000

export type Send =
  | { readonly kind: 'request'; readonly options: WxRequestOptions }
  | { readonly kind: 'uploadFile'; readonly options: WxUploadOptions }
  | { readonly kind: 'downloadFile'; readonly options: WxDownloadOptions }

export type WxResult = WxRequestResult | WxUploadResult | WxDownloadResult

export interface SendOptions {
  /** Precedes the calls that wait. */
  readonly isUrgent?: boolean
  readonly handle?: Handle
  /** Returns the access token, or null. Called when the request is sent, which may be long
   *  after `send`. */
  readonly authorize?: () => string | null
  readonly onProgress?: (progress: WxProgress) => void
  /** For a route with an encrypted channel; see channel.ts. */
  readonly isSealed?: boolean
}

export interface Answer {
  readonly result: WxResult
  /** The gateway's error; null for an answer of the business service. */
  readonly problem: WxgateError | null
}

export interface Transport {
  /** Rejects with a WxgateError when there was no answer. */
  send(what: Send, options: SendOptions): Promise<Answer>
}

export function createTransport(wx: Wx, requests: Queue): Transport {
  function start(what: Send, header: WxHeaders, callbacks: Outcome<WxResult>): WxStarted {
    if (what.kind === 'request') return wx.request({ ...what.options, header, ...callbacks })
    if (what.kind === 'uploadFile') return wx.uploadFile({ ...what.options, header, ...callbacks })
    return wx.downloadFile({ ...what.options, header, ...callbacks })
  }

  async function dispatch(what: Send, { handle, authorize, onProgress }: SendOptions): Promise<Answer> {
    const header = withAuthorization(what.options.header, authorize?.() ?? null)
    const { timeout } = what.options
    const chunks: ArrayBuffer[] = []
    let received: WxHeaders | undefined
    const started = createStarted()
    const result = await callWx<WxResult>({
      name: what.kind,
      timeoutMs: timeout ? timeout + GRACE_MS : DEFAULT_TIMEOUT_MS,
      start(callbacks, extend) {
        const returned = start(what, header, callbacks)
        handle?.onAbort(started.abort)
        started.receive(returned, (task) => {
          task.onHeadersReceived?.((head) => {
            extend()
            received = head.header
          })
          // With enableChunked a body comes this way only.
          task.onChunkReceived?.(({ data }) => {
            extend()
            if (isProblemType(received)) chunks.push(data)
          })
          task.onProgressUpdate?.((progress) => {
            extend()
            onProgress?.(progress)
          })
          handle?.watch(task)
        })
        return returned
      },
      stop: started.abort
    })
    return read(what.kind, result, received, chunks)
  }

  async function read(
    kind: Send['kind'],
    result: WxResult,
    received: WxHeaders | undefined,
    chunks: ArrayBuffer[]
  ): Promise<Answer> {
    const { header = received ?? {}, data = '' } = result as Partial<WxRequestResult>
    const whole = kind === 'request' ? { ...result, header, data } : result
    if (result.statusCode < 400) return { result: whole, problem: null }
    const { filePath, tempFilePath } = result as WxDownloadResult
    // wx stores the body of every download in a file, an error's too.
    const body =
      kind === 'downloadFile' ? await readText(filePath ?? tempFilePath) : chunks.length > 0 ? join(chunks) : data
    return { result: whole, problem: readProblem(result.statusCode, body, header) }
  }

  async function readText(filePath: string): Promise<string> {
    const files = wx.getFileSystemManager?.()
    if (!files) return ''
    const read = callWx<{ data: string | ArrayBuffer }>({
      name: 'readFile',
      timeoutMs: READ_TIMEOUT_MS,
      start: (callbacks) => files.readFile({ filePath, encoding: 'utf8', ...callbacks })
    })
    return read.then(
      ({ data }) => String(data),
      () => ''
    )
  }

  return {
    send: (what, options) =>
      new Promise((resolve, reject) => {
        const { handle } = options
        const refuse = (error: unknown) => reject(isWxgateError(error) ? error : fromWxFailure(error as WxFailure))
        const stop = () => refuse(createError({ code: 'aborted', detail: 'The call was aborted.' }))
        handle?.onAbort(() => place.leave() && stop())
        const place = requests.enter((release) => {
          // The next call waits until this answer has taken effect: it may bring a new token.
          const leave = () => void after(0, release)
          if (handle?.isAborted) {
            release()
            stop()
          } else {
            const answer = dispatch(what, options)
            answer.then(leave, leave)
            answer.then(resolve, refuse)
          }
        }, options.isUrgent)
      })
  }
}

function join(chunks: readonly ArrayBuffer[]): ArrayBuffer {
  let length = 0
  for (const chunk of chunks) length += chunk.byteLength
  const whole = new Uint8Array(length)
  let offset = 0
  for (const chunk of chunks) {
    whole.set(new Uint8Array(chunk), offset)
    offset += chunk.byteLength
  }
  return whole.buffer
}

/** Replaces any credential that the caller set, in any spelling. */
export function withAuthorization(header: WxHeaders | undefined, token: string | null): WxHeaders {
  const own: WxHeaders = {}
  for (const name in header) if (name.toLowerCase() !== 'authorization') own[name] = header[name] ?? ''
  if (token !== null) own.Authorization = `Bearer ${token}`
  return own
}
