/** A target as one upstream sees it: its weight, and everything that decides whether it gets the
 *  next request. */
import type { Breaker } from './breaker.ts'
import type { HealthCheck } from './health-check.ts'
import type { Target } from './target.ts'
import type { TargetState } from './target-state.ts'
import type { TargetStats } from './target-stats.ts'

export interface MemberInit {
  readonly target: Target
  readonly weight: number
  readonly state: TargetState
  /** Null without a circuit breaker. */
  readonly breaker: Breaker | null
  /** Null without health checks. */
  readonly check: Pick<HealthCheck, 'isHealthy'> | null
  readonly stats: TargetStats
}

export class Member {
  readonly target: Target
  readonly weight: number
  readonly state: TargetState
  readonly breaker: Breaker | null
  readonly check: Pick<HealthCheck, 'isHealthy'> | null
  readonly stats: TargetStats
  /** Of the pick in progress, see selection.ts. */
  rank = 0
  /** Of the pick in progress: the weight, less during a slow start. */
  share: number
  /** Credit of the smooth weighted round robin, see balance.ts. */
  credit = 0
  /** Seed of the target in `balance: hash`. */
  readonly seed: number

  constructor({ target, weight, state, breaker, check, stats }: MemberInit) {
    this.target = target
    this.weight = weight
    this.state = state
    this.breaker = breaker
    this.check = check
    this.stats = stats
    this.share = weight
    this.seed = fnv1a(target.config.url)
  }

  /** False for an unhealthy target and behind an open breaker. */
  isUsable(now: number): boolean {
    return (this.check === null || this.check.isHealthy) && (this.breaker === null || this.breaker.allows(now))
  }
}

/** FNV-1a, 32 bits. */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  return hash >>> 0
}
