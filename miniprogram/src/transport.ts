/** One wx.request, wx.uploadFile or wx.downloadFile: waits for its place, and reads the gateway's error out of the answer. */
import { createError, fromWxFailure, isProblemType, readProblem, type WxgateError } from './errors'
import type { Runtime } from './runtime'
import type { Handle } from './task'
import { after } from './timers'
import type {
  WxCallbacks,
  WxDownloadOptions,
  WxDownloadResult,
  WxFailure,
  WxHeaders,
  WxRequestOptions,
  WxRequestResult,
  WxTask,
  WxUploadOptions,
  WxUploadResult
} from './wx'

export type Send =
  | { readonly kind: 'request'; readonly options: WxRequestOptions }
  | { readonly kind: 'uploadFile'; readonly options: WxUploadOptions }
  | { readonly kind: 'downloadFile'; readonly options: WxDownloadOptions }

export type WxResult = WxRequestResult | WxUploadResult | WxDownloadResult

export interface Answer {
  readonly result: WxRequestResult
  /** The error, when it is the gateway's and not the business service's. */
  readonly problem: WxgateError | null
}

export interface Transport {
  /** Rejects with a WxgateError when there was no answer. */
  send(
    what: Send & {
      /** Goes before those that wait. */
      readonly isUrgent?: boolean
      readonly handle?: Handle
      /** Asked when the request leaves, which may be long after it was made. */
      readonly authorize?: () => string | null
    }
  ): Promise<Answer>
}

/** Who waits comes after what this answer sets going: a new token, above all. */
function leave(release: () => void): void {
  after(0, release)
}

export function createTransport(runtime: Runtime): Transport {
  const { wx } = runtime

  function call(what: Send, header: WxHeaders, callbacks: WxCallbacks<WxResult>): WxTask | undefined {
    if (what.kind === 'request') return wx.request({ ...what.options, header, ...callbacks })
    if (what.kind === 'uploadFile') return wx.uploadFile({ ...what.options, header, ...callbacks })
    return wx.downloadFile({ ...what.options, header, ...callbacks })
  }

  return {
    send: (what) =>
      new Promise((resolve, reject) => {
        const { handle, authorize } = what
        const refuse = (failure?: WxFailure) => reject(fromWxFailure(failure))
        const aborted = { errMsg: `${what.kind}:fail abort` }
        const begin = (release: () => void) => {
          let received: WxHeaders | undefined
          const chunks: ArrayBuffer[] = []
          if (handle?.isAborted) {
            release()
            refuse(aborted)
            return
          }
          try {
            const task = call(what, withAuthorization(what.options.header, authorize?.() ?? null), {
              success(result) {
                leave(release)
                read(what.kind, result, received, chunks).then(resolve, reject)
              },
              fail(failure) {
                leave(release)
                refuse(failure)
              }
            })
            task?.onHeadersReceived?.(({ header }) => {
              received = header
            })
            // With enableChunked a body comes this way only.
            task?.onChunkReceived?.(({ data }) => {
              if (isProblemType(received)) chunks.push(data)
            })
            handle?.onAbort(() => task?.abort())
            if (task) handle?.watch(task)
          } catch (error) {
            // An option that wx refuses by throwing.
            release()
            reject(createError({ code: 'network', detail: 'wx refused the call.', errMsg: String(error) }))
          }
        }
        handle?.onAbort(() => {
          if (place.leave()) refuse(aborted)
        })
        const place = runtime.requests.enter(begin, what.isUrgent)
      })
  }

  async function read(
    kind: Send['kind'],
    result: WxResult,
    received: WxHeaders | undefined,
    chunks: ArrayBuffer[]
  ): Promise<Answer> {
    const { header = received ?? {}, data = '' } = result as Partial<WxRequestResult>
    const whole = { ...result, header, data }
    if (result.statusCode < 400) return { result: whole, problem: null }
    // The body of a download is in a file, an error's as well.
    const { filePath, tempFilePath } = result as WxDownloadResult
    const body =
      kind === 'downloadFile' ? await readText(filePath ?? tempFilePath) : chunks.length > 0 ? join(chunks) : data
    return { result: whole, problem: readProblem(result.statusCode, body, header) }
  }

  function readText(filePath: string): Promise<string> {
    return new Promise((resolve) => {
      const files = wx.getFileSystemManager?.()
      if (!files) return resolve('')
      files.readFile({
        filePath,
        encoding: 'utf8',
        success: ({ data }) => resolve(String(data)),
        fail: () => resolve('')
      })
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

/** The credential is ours to set: what the caller put there is left out, in whatever spelling. */
function withAuthorization(header: WxHeaders | undefined, token: string | null): WxHeaders {
  const own: WxHeaders = {}
  for (const name in header) if (name.toLowerCase() !== 'authorization') own[name] = header[name] ?? ''
  if (token !== null) own.Authorization = `Bearer ${token}`
  return own
}
