/** Picks one of several targets. */
import type { UpstreamConfig } from '../config/config.ts'
import { fnv1a, type Member } from './member.ts'

/** Picks a member of the given rank; at least one has it. `hash` keeps `key` on one member. */
export type Balance = (members: readonly Member[], rank: number, key: string | null) => Member | null

/** @param random A number from 0 to 1, less than 1. */
export function balanceBy(policy: UpstreamConfig['balance'], random: () => number = Math.random): Balance {
  if (policy === 'roundRobin') return pickRoundRobin
  if (policy === 'hash') return pickByHash
  return (members, rank) => pickLeastRequests(members, rank, random)
}

/** nginx's smooth weighted round robin: each member gains credit by its share; the one with the
 *  most credit is picked and pays the sum. */
function pickRoundRobin(members: readonly Member[], rank: number): Member | null {
  let total = 0
  let best: Member | null = null
  for (const member of members) {
    if (member.rank !== rank) continue
    member.credit += member.share
    total += member.share
    if (best === null || member.credit > best.credit) best = member
  }
  if (best) best.credit -= total
  return best
}

/** The power of two choices: of two members drawn by their shares, the one with the lower load.
 *  Several gateways that all sent to the least loaded target would overload it together. */
function pickLeastRequests(members: readonly Member[], rank: number, random: () => number): Member | null {
  const first = draw(members, rank, null, random)
  const second = draw(members, rank, first, random)
  if (first === null || second === null) return first
  return loadOf(second) < loadOf(first) ? second : first
}

function loadOf({ target, share }: Member): number {
  return target.inFlight / share
}

/** Draws a member other than `besides`; null when there is no other. */
function draw(members: readonly Member[], rank: number, besides: Member | null, random: () => number): Member | null {
  let total = 0
  for (const member of members) if (member.rank === rank && member !== besides) total += member.share
  let point = random() * total
  let drawn: Member | null = null
  for (const member of members) {
    if (member.rank !== rank || member === besides) continue
    drawn = member
    point -= member.share
    if (point < 0) return drawn
  }
  return drawn
}

/** Rendezvous hashing: a member that leaves moves only its own keys. Without a key it picks by
 *  round robin. */
function pickByHash(members: readonly Member[], rank: number, key: string | null): Member | null {
  if (key === null) return pickRoundRobin(members, rank)
  const hash = fnv1a(key)
  let best: Member | null = null
  let bestScore = Number.NEGATIVE_INFINITY
  for (const member of members) {
    if (member.rank !== rank) continue
    const score = -member.share / Math.log((mix(hash, member.seed) + 1) / 0x1_0000_0001)
    if (score > bestScore) {
      best = member
      bestScore = score
    }
  }
  return best
}

/** Joins two hashes; every bit of both changes half the bits of the result. */
function mix(a: number, b: number): number {
  return finish(finish(a) ^ b) >>> 0
}

/** The final mix of MurmurHash3. */
function finish(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
