/** The wx task of a call that has started, which a wrapper of wx may give later, or never. */
import type { WxStarted, WxTask } from './wx'
import { isPromise } from './wx-call'

export interface Started {
  /** @param watch Called with the task, as soon as it is there. */
  receive(returned: WxStarted, watch: (task: WxTask) => void): void
  /** Aborts the task, or will when it comes. */
  abort(): void
}

export function createStarted(): Started {
  let task: WxTask | undefined
  let isAborted = false
  return {
    receive(returned, watch) {
      const take = (value: unknown) => {
        if (task || !isTask(value)) return
        task = value
        watch(task)
        if (isAborted) task.abort()
      }
      take(returned)
      // A promise of the result has no task in it.
      if (isPromise(returned)) returned.then(take, () => {})
    },
    abort() {
      isAborted = true
      task?.abort()
    }
  }
}

function isTask(value: unknown): value is WxTask {
  return typeof value === 'object' && value !== null && typeof (value as { abort?: unknown }).abort === 'function'
}
