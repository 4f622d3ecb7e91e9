/** The parts of one upstream that a request uses. */
import type { Clock } from '../clock.ts'
import type { UpstreamConfig } from '../config/config.ts'
import type { Member } from './member.ts'
import type { Selection } from './selection.ts'
import type { UpstreamUsage } from './upstream-usage.ts'

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
