/** Requests that wait for the outcome of an event they brought. */
import type { Clock } from '../clock.ts'

export type Delivered =
  /** `text` is the body of the upstream's answer. */
  | { readonly outcome: 'delivered'; readonly text: string }
  /** It is kept, and delivered later. */
  | { readonly outcome: 'kept' }
  /** `dead`: the upstream refused it. `known`: a repeat. `full`: it was not taken. */
  | { readonly outcome: 'dead' | 'known' | 'full' }

interface Place {
  readonly id: string
  readonly lane: string
}

export interface Outcomes {
  /** The outcome of an event; `kept` when the time is over. */
  of(event: Place): Promise<Delivered>
  settle(event: Place, delivered: Delivered): void
  /** Settles every event of a lane that waits for the end of a pause. */
  keepLane(lane: string): void
}

export interface OutcomesOptions {
  readonly clock: Pick<Clock, 'setTimeout' | 'clearTimeout'>
  readonly timeoutMs: number
}

const KEPT: Delivered = { outcome: 'kept' }

export function createOutcomes({ clock, timeoutMs }: OutcomesOptions): Outcomes {
  const lanes = new Map<string, Map<string, (delivered: Delivered) => void>>()

  function settle({ id, lane }: Place, delivered: Delivered): void {
    const events = lanes.get(lane)
    events?.get(id)?.(delivered)
    events?.delete(id)
    if (events?.size === 0) lanes.delete(lane)
  }

  return {
    of: (event) =>
      new Promise((resolve) => {
        const limit = clock.setTimeout(() => settle(event, KEPT), timeoutMs)
        const events = lanes.get(event.lane) ?? new Map()
        lanes.set(event.lane, events)
        events.set(event.id, (delivered: Delivered) => {
          clock.clearTimeout(limit)
          resolve(delivered)
        })
      }),
    settle,
    keepLane(lane) {
      for (const id of lanes.get(lane)?.keys() ?? []) settle({ id, lane }, KEPT)
    }
  }
}
