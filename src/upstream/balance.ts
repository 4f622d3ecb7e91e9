/** Picks one of several targets. */
import type { UpstreamConfig } from '../config/config.ts'
import type { Target } from './target.ts'

/** A target as one upstream sees it. */
export interface Member {
  readonly target: Target
  readonly weight: number
}

/** Keeps `key` on one member when the policy is `hash`. Null only for an empty list. */
export type Balance = (members: readonly Member[], key: string | null) => Member | null

export function balanceBy(policy: UpstreamConfig['balance']): Balance {
  return { roundRobin: pickRoundRobin, leastRequests: pickLeastRequests, hash: pickByHash }[policy]
}

/** nginx's smooth weighted round robin: each member gains credit by its weight; the one with
 *  the most credit is picked and pays the sum. */
function pickRoundRobin(members: readonly Member[]): Member | null {
  let total = 0
  let best: Member | null = null
  for (const member of members) {
    member.target.credit += member.weight
    total += member.weight
    if (best === null || member.target.credit > best.target.credit) best = member
  }
  if (best) best.target.credit -= total
  return best
}

function pickLeastRequests(members: readonly Member[]): Member | null {
  let least: Member[] = []
  let leastLoad = Number.POSITIVE_INFINITY
  for (const member of members) {
    const load = member.target.inFlight / member.weight
    if (load > leastLoad) continue
    if (load < leastLoad) least = []
    leastLoad = load
    least.push(member)
  }
  return pickRoundRobin(least)
}

/** Rendezvous hashing: a member that leaves moves only its own keys. Without a key it picks by
 *  round robin. */
function pickByHash(members: readonly Member[], key: string | null): Member | null {
  if (key === null) return pickRoundRobin(members)
  let best: Member | null = null
  let bestScore = Number.NEGATIVE_INFINITY
  for (const member of members) {
    const score = -member.weight / Math.log((fnv1a(`${key}|${member.target.host}`) + 1) / 0x1_0000_0001)
    if (score > bestScore) {
      best = member
      bestScore = score
    }
  }
  return best
}

/** FNV-1a with a final mix, 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
