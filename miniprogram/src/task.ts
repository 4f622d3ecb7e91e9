/** A promise that can be aborted and watched, as wx's own tasks can. */
import { isProblemType } from './errors'
import { type Listeners, tell } from './listeners'
import type { WxHeaders, WxProgress, WxTask } from './wx'

export interface Task<Result> extends Promise<Result> {
  abort(): void
  onHeadersReceived(listener: (result: { header: WxHeaders; statusCode?: number }) => void): void
  /** With `enableChunked` only. The body of an error of the gateway's is kept back. */
  onChunkReceived(listener: (result: { data: ArrayBuffer }) => void): void
  /** Of an upload or a download. */
  onProgressUpdate(listener: (progress: WxProgress) => void): void
}

/** The other end of a task: tells it what happens. A repeat after a login has a wx task of its own. */
export interface Handle {
  readonly isAborted: boolean
  /** Called when the task is aborted; each call takes the place of the one before. */
  onAbort(stop: () => void): void
  watch(task: WxTask): void
}

export function createTask<Result>(start: (handle: Handle) => Promise<Result>): Task<Result> {
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

  const task = start(handle) as Task<Result>
  task.abort = () => {
    isAborted = true
    stop?.()
  }
  task.onHeadersReceived = (listener) => void headers.push(listener)
  task.onChunkReceived = (listener) => void chunks.push(listener)
  task.onProgressUpdate = (listener) => void progress.push(listener)
  return task
}
