/** A promise that can be aborted and watched, as the tasks of wx can. */
import { createError } from './errors'
import { type Listeners, tell } from './listeners'
import { isProblemType } from './problem'
import type { WxHeaders, WxProgress, WxTask } from './wx'

export interface Task<Result> extends Promise<Result> {
  /** Rejects the promise with `aborted` at once, unless it is settled. */
  abort(): void
  onHeadersReceived(listener: (result: { header: WxHeaders; statusCode?: number }) => void): void
  /** With `enableChunked` only. The body of a gateway error is kept back. */
  onChunkReceived(listener: (result: { data: ArrayBuffer }) => void): void
  /** Of an upload or a download. */
  onProgressUpdate(listener: (progress: WxProgress) => void): void
}

/** The inner end of a task. A repeat after a login has its own wx task. */
export interface Handle {
  readonly isAborted: boolean
  /** Sets the function that abort() calls, replacing the previous one. */
  onAbort(stop: () => void): void
  watch(task: WxTask): void
}

/** @param kind Name of the call in errMsg, as wx writes it. */
export function createTask<Result>(kind: string, start: (handle: Handle) => Promise<Result>): Task<Result> {
  const headers: Listeners<{ header: WxHeaders; statusCode?: number }> = []
  const chunks: Listeners<{ data: ArrayBuffer }> = []
  const progress: Listeners<WxProgress> = []
  let stop: (() => void) | null = null
  let isAborted = false

  const handle: Handle = {
    get isAborted() {
      return isAborted
    },
    onAbort(next) {
      stop = next
    },
    watch(task) {
      let isProblem = false
      task.onHeadersReceived?.((result) => {
        isProblem = isProblemType(result.header)
        tell(headers, result)
      })
      task.onChunkReceived?.((result) => {
        if (!isProblem) tell(chunks, result)
      })
      task.onProgressUpdate?.((result) => tell(progress, result))
    }
  }

  let reject: (error: Error) => void = () => {}
  const promise = new Promise<Result>((resolve, refuse) => {
    reject = refuse
    start(handle).then(resolve, refuse)
  })
  const task = promise as Task<Result>
  task.abort = () => {
    isAborted = true
    stop?.()
    reject(createError({ code: 'aborted', detail: 'The call was aborted.', errMsg: `${kind}:fail abort` }))
  }
  task.onHeadersReceived = (listener) => void headers.push(listener)
  task.onChunkReceived = (listener) => void chunks.push(listener)
  task.onProgressUpdate = (listener) => void progress.push(listener)
  return task
}
