/** Ends of sessions that the store lost, in a failover, a restored backup or a replaced file. This
 *  process still knows them, and writes them again. */
import type { Log } from '../telemetry/log.ts'

export type LostEnd =
  | { readonly sessionId: string }
  | { readonly appId: string; readonly openId: string; readonly epoch: number }

export interface KnownEnd {
  readonly end: LostEnd
  /** Milliseconds that it still matters. */
  readonly ttl: number
}

export interface LostEndsDeps {
  /** Repairs the records behind an end. */
  readonly mend: (end: LostEnd) => Promise<void>
  readonly append: (known: KnownEnd) => Promise<void>
  readonly log: Pick<Log, 'warn'>
}

export interface LostEnds {
  /** The reading of the feed began again. */
  restarted(): void
  /** Notes an end that the feed holds. */
  seen(end: LostEnd): void
  /** Call it after every whole reading: writes what the feed lacks, a part with each call. */
  restore(known: () => Iterable<KnownEnd>): Promise<void>
}

/** Ends written with one call, few enough for the next reading not to wait for them. */
const BATCH = 500

export function createLostEnds({ mend, append, log }: LostEndsDeps): LostEnds {
  /** Null unless a reading from the beginning is under way. */
  let held: Set<string> | null = null
  let lost: KnownEnd[] = []

  return {
    restarted() {
      held = new Set()
    },
    seen(end) {
      held?.add(nameOf(end))
    },
    async restore(known) {
      const names = held
      if (names !== null) {
        lost = [...known()].filter(({ end }) => !names.has(nameOf(end)))
        held = null
        if (lost.length > 0) {
          const fields = { event: 'ends_restored', count: lost.length }
          log.warn(fields, 'the store has lost ends of sessions; they are written again')
        }
      }
      const batch = lost.slice(0, BATCH)
      try {
        await Promise.all(
          batch.map(async (one) => {
            await mend(one.end)
            await append(one)
          })
        )
        lost = lost.slice(batch.length)
      } catch (error) {
        log.warn({ err: error }, 'lost ends of sessions could not be written; the next reading tries again')
      }
    }
  }
}

function nameOf(end: LostEnd): string {
  return 'sessionId' in end ? end.sessionId : `${end.appId}:${end.openId}:${end.epoch}`
}
