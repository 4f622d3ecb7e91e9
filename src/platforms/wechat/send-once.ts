/** One request to a server of WeChat, sent at most once, with one deadline for all of it. */
import type { Dispatcher } from 'undici'
import { codeOf } from './connector.ts'

export interface SentAnswer {
  readonly status: number
  /** By name in lower case; a repeated header is a list. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

export interface SendLimits {
  /** On the clock of `performance.now()`. */
  readonly deadline: number
  /** Largest answer in bytes. */
  readonly maxBytes: number
  /** Default: every status. The body of another is not read: the call fails with `status N`. */
  readonly accepts?: (status: number) => boolean
}

/** The reason for a missing answer. Holds fixed words and system error codes only: errors of
 *  undici can hold the request line, which can hold the AppSecret. */
export class TransportFailure extends Error {
  readonly reason: string
  readonly wasSent: boolean

  constructor(reason: string, wasSent: boolean) {
    super(reason)
    this.name = 'TransportFailure'
    this.reason = reason
    this.wasSent = wasSent
  }
}

/** True when no byte was written and time is left for another connection. */
export function isUnsent(error: unknown): boolean {
  return error instanceof TransportFailure && !error.wasSent && error.reason !== 'timeout'
}

/** Rejects with a TransportFailure, at the deadline at the latest. */
export function sendOnce(
  pool: Dispatcher,
  request: Dispatcher.DispatchOptions,
  { deadline, maxBytes, accepts = () => true }: SendLimits
): Promise<SentAnswer> {
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | null = null
    let isSettled = false
    let size = 0
    let head: Pick<SentAnswer, 'status' | 'headers'> = { status: 0, headers: {} }
    const chunks: Buffer[] = []

    const fail = (reason: string) => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      reject(new TransportFailure(reason, controller !== null))
      controller?.abort(new Error(reason))
    }
    const timer = setTimeout(() => fail('timeout'), Math.max(0, deadline - performance.now()))

    pool.dispatch(request, {
      onRequestStart(started) {
        // Called just before the request is written. The caller may have given up, or undici may
        // write the request again after its connection broke: neither may reach WeChat.
        if (isSettled || controller !== null) {
          started.abort(new Error('given up'))
          fail('repeated')
          return
        }
        controller = started
      },
      onResponseStart(_controller, status, headers) {
        if (status < 200) return
        if (!accepts(status)) return fail(`status ${status}`)
        head = { status, headers }
      },
      onResponseData(_controller, chunk) {
        size += chunk.length
        if (size > maxBytes) return fail('body too large')
        chunks.push(chunk)
      },
      onResponseEnd() {
        if (isSettled) return
        isSettled = true
        clearTimeout(timer)
        resolve({ ...head, body: chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks) })
      },
      onResponseError(_controller, error) {
        fail(codeOf(error))
      }
    })
  })
}
