/** Remembers the verdict about an access token: verified ones, and those that were refused
 *  twice. */
import { LRUCache } from 'lru-cache'
import type { ApiError } from '../../errors.ts'
import { flatCopy } from '../../flat-text.ts'
import type { Principal } from '../principal.ts'

const VERIFIED_TOKENS = 30_000
const REFUSED_TOKENS = 2_000
/** A power of two. */
const SEEN_ONCE = 4_096
/** Characters at the end of a token that identify it: the signature and some of the payload. */
const IDENTITY_CHARS = 64

/** The cache has 2^RECENT_BITS slots in front of the verified tokens: more than there are tokens,
 *  so that few share a slot. */
const RECENT_BITS = 16
/** A row has 2^ROW_BITS slots. */
const ROW_BITS = 8
const ROW_MASK = 2 ** ROW_BITS - 1
/** Characters at the end of a token that choose its slot: a part of the signature. */
const SLOT_CHARS = 8
const FNV_PRIME = 0x01000193

export interface TokenMemory {
  /** Undefined for a token that is not remembered. */
  find(token: string): Principal | ApiError | undefined
  verified(token: string, principal: Principal): void
  /** @param error Depends on the token only, not on the time. */
  refused(token: string, error: ApiError): void
}

interface Known {
  readonly token: string
  readonly principal: Principal
}

export function createTokenMemory(): TokenMemory {
  // Keyed by the whole token without the scheme, whose spelling varies.
  const verified = new LRUCache<string, Known>({
    // A size of 1 for each token: with `max` the cache would allocate every entry at once.
    maxSize: VERIFIED_TOKENS,
    sizeCalculation: () => 1,
    // A slot must not keep an evicted token.
    dispose(known) {
      const slot = slotOf(known.token)
      if (recent.at(slot) === known) recent.set(slot, undefined)
    }
  })
  const refused = new LRUCache<string, ApiError>({ maxSize: REFUSED_TOKENS, sizeCalculation: () => 1 })
  /** The token found last for each slot. Comparing two tokens costs a tenth of hashing one. */
  const recent = createSlots()
  /** Remembers only what is refused twice: a flood of different tokens would replace the whole
   *  cache many times a second. */
  const seenOnce = new Uint32Array(SEEN_ONCE)

  function isSeenAgain(token: string): boolean {
    const hash = hashOfEnd(token, IDENTITY_CHARS)
    const slot = hash % SEEN_ONCE
    const isAgain = seenOnce[slot] === hash
    seenOnce[slot] = hash
    return isAgain
  }

  return {
    find(token) {
      const slot = slotOf(token)
      const last = recent.at(slot)
      if (last !== undefined && last.token === token) return last.principal
      const known = verified.get(token)
      if (known === undefined) return refused.get(token)
      recent.set(slot, known)
      return known.principal
    },
    verified(token, principal) {
      const kept = flatCopy(token)
      verified.set(kept, { token: kept, principal })
    },
    refused(token, error) {
      if (isSeenAgain(token)) refused.set(flatCopy(token), error)
    }
  }
}

/** In rows, made when the first token falls into them: all slots at once cost each start 4 ms and
 *  half a megabyte. */
function createSlots() {
  const rows = new Array<(Known | undefined)[] | undefined>(2 ** (RECENT_BITS - ROW_BITS)).fill(undefined)
  return {
    at: (slot: number): Known | undefined => rows[slot >>> ROW_BITS]?.[slot & ROW_MASK],
    set(slot: number, known: Known | undefined): void {
      const index = slot >>> ROW_BITS
      const row = rows[index] ?? new Array<Known | undefined>(2 ** ROW_BITS).fill(undefined)
      rows[index] = row
      row[slot & ROW_MASK] = known
    }
  }
}

/** FNV-1a, 32 bits. Two texts with the same hash share a slot in a cache, nothing more. */
function hashOfEnd(text: string, characters: number): number {
  let hash = 0x811c9dc5
  for (let index = Math.max(0, text.length - characters); index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), FNV_PRIME)
  }
  return hash >>> 0
}

function slotOf(token: string): number {
  return hashOfEnd(token, SLOT_CHARS) >>> (32 - RECENT_BITS)
}
