/** Waits for a condition. */
import { setTimeout as delay } from 'node:timers/promises'

/** Longest wait in milliseconds. It guards against hanging and measures no speed. */
export const PATIENCE = 100_000

/** Longest pause between two questions, in milliseconds. */
const PAUSE = 25

/** Asks repeatedly; rejects with the condition's text when it is not true after `PATIENCE`. */
export async function until(isSo: () => boolean | Promise<boolean>, longestPauseMs = PAUSE): Promise<void> {
  const deadline = performance.now() + PATIENCE
  // A question may cost a request: the longer it takes already, the less often it is asked.
  for (let pause = 2; !(await isSo()); pause = Math.min(pause * 1.2, longestPauseMs)) {
    if (performance.now() > deadline) throw new Error(`still not so after ${PATIENCE} ms: ${isSo}`)
    await delay(pause)
  }
}
