/** Waits for a condition. */
import { setTimeout as delay } from 'node:timers/promises'

/** Longest wait in milliseconds. It guards against hanging and measures no speed. */
export const PATIENCE = 100_000

/** Asks repeatedly; rejects with the condition's text when it is not true after `PATIENCE`. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`still not so after ${PATIENCE} ms: ${isSo}`)
    await delay(2)
  }
}
