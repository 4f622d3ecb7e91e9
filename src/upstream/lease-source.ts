/** The input of a lease: the upstream and the request. */
import type { Clock } from '../clock.ts'
import type { UpstreamConfig } from '../config/config.ts'
import type { Member } from './member.ts'
import type { Selection } from './selection.ts'
import type { UpstreamUsage } from './upstream-usage.ts'

export interface AttemptOptions {
  /** `balance: hash` keeps requests with the same key on one target. */
  readonly key: string | null
  readonly method: string
  /** The request has no body, so it can be sent again. */
  readonly isReplayable: boolean
  /** Monotonic milliseconds: no wait and no further try after this time; Infinity: no limit. */
  readonly deadlineAt: number
}

/** The parts of one upstream that its requests use. */
export interface LeaseSource {
  readonly selection: Selection
  readonly usage: UpstreamUsage
  readonly connections: Pick<UpstreamConfig['connections'], 'max' | 'queue'>
  readonly outliers: UpstreamConfig['outliers']
  readonly retries: UpstreamConfig['retries']
  /** Of the upstream as a whole. */
  readonly limits: { readonly maxInFlight: number; readonly maxPending: number }
  readonly clock: Clock
  readonly onEjected: (member: Member, ms: number) => void
}
