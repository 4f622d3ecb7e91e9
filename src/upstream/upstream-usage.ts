/** The use of one upstream as a whole, across reloads. */
import { RetryBudget } from './retry-budget.ts'

/** The reason for a 503 without a try, a word for log and metrics. */
export type Refusal = 'no_target' | 'queue_full' | 'queue_timeout' | 'max_in_flight' | 'max_pending'

export class UpstreamUsage {
  /** Requests and WebSockets under way. */
  inFlight = 0
  /** Requests that wait for a target. */
  pending = 0
  retries = 0
  /** Retries that the budget refused. */
  retriesRefused = 0
  readonly budget = new RetryBudget()
  readonly refusals: Record<Refusal, number> = {
    no_target: 0,
    queue_full: 0,
    queue_timeout: 0,
    max_in_flight: 0,
    max_pending: 0
  }
}
