/** Waiting for a condition. */
import { setTimeout as delay } from 'node:timers/promises'

/** Longest wait in milliseconds. A guard against hanging, and no measure of speed: a busy machine takes its time. */
export const PATIENCE = 100_000

/** Asks again and again; rejects with the condition's text when it has not come true after `PATIENCE`. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`still not so after ${PATIENCE} ms: ${isSo}`)
    await delay(2)
  }
}
