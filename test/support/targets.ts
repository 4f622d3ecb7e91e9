/** Targets without a server behind them, for unit tests. */
import { lookup } from 'node:dns'
import type { Member } from '../../src/upstream/balance.ts'
import { createTarget, type TargetConfig } from '../../src/upstream/target.ts'

export const NO_TLS = { ca: null, cert: null, key: null, serverName: null, insecureSkipVerify: false }

export function targetConfig(port: number): TargetConfig {
  return { url: `http://127.0.0.1:${port}`, connectTimeoutMs: 1_000, tls: NO_TLS }
}

/** Targets with these weights, or this many targets of weight 1. No server listens on their
 *  ports. */
export function fakeMembers(weights: number | readonly number[]): Member[] {
  const list = typeof weights === 'number' ? Array<number>(weights).fill(1) : weights
  return list.map((weight, index) => ({ weight, target: createTarget(targetConfig(index + 1), lookup) }))
}
