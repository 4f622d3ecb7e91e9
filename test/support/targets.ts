/** Targets without a server behind them, for unit tests. */
import { lookup } from 'node:dns'
import { systemClock } from '../../src/clock.ts'
import { createReadBuffers } from '../../src/http/body/read-buffer.ts'
import type { Balance } from '../../src/upstream/balance.ts'
import { Member, type MemberInit } from '../../src/upstream/member.ts'
import { Selection } from '../../src/upstream/selection.ts'
import { createTarget, type TargetConfig } from '../../src/upstream/target.ts'
import { TargetState } from '../../src/upstream/target-state.ts'
import { TargetStats } from '../../src/upstream/target-stats.ts'

export const NO_TLS = { ca: null, cert: null, key: null, serverName: null, insecureSkipVerify: false }

export const NO_LOG = { info() {}, warn() {} }

export function targetConfig(port: number): TargetConfig {
  return { url: `http://127.0.0.1:${port}`, connectTimeoutMs: 1_000, idleMs: 30_000, maxAgeMs: 0, tls: NO_TLS }
}

/** Targets with these weights, or this many targets of weight 1. No server listens on their
 *  ports. */
export function fakeMembers(
  weights: number | readonly number[],
  init: () => Partial<MemberInit> = () => ({})
): Member[] {
  const list = typeof weights === 'number' ? Array<number>(weights).fill(1) : weights
  const deps = { lookup, clock: systemClock, buffers: createReadBuffers() }
  return list.map((weight, index) => {
    const target = createTarget(targetConfig(index + 1), deps)
    const parts = { breaker: null, check: null, state: new TargetState(), stats: new TargetStats() }
    return new Member({ weight, target, ...parts, ...init() })
  })
}

/** Picks the first member of the best rank, which tests can foresee. */
export function firstOf(members: readonly Member[], maxInFlight: number): Selection {
  const balance: Balance = (all, rank) => all.find((member) => member.rank === rank) ?? null
  return new Selection({ members, balance, maxInFlight, slowStartMs: 0, maxEjected: 0.5 })
}
