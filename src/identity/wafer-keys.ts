/** Session proofs for backends built on the wafer SDK, which asks a session server about the pair
 *  X-WX-Id and X-WX-Skey of each request. */
import type { Clock } from '../clock.ts'
import type { Sealer } from '../crypto/sealer.ts'
import type { Principal } from './principal.ts'
import type { Revocations } from './revocations.ts'

/** A backend may ask at the end of a request that began with a valid token (milliseconds). */
const GRACE = 60_000

export interface WaferUser {
  readonly appId: string
  readonly openId: string
  readonly unionId: string | null
}

export interface WaferKeys {
  /** X-WX-Id and X-WX-Skey, name and value in turns. */
  headers(principal: Principal): string[]
  /** Null for a pair that was not issued here or has expired, and after the end of its session. */
  check(id: string, skey: string): WaferUser | null
}

export interface WaferKeysOptions {
  readonly sealer: Sealer
  readonly clock: Pick<Clock, 'now'>
  readonly revocations: Pick<Revocations, 'isRevoked'>
}

export function createWaferKeys({ sealer, clock, revocations }: WaferKeysOptions): WaferKeys {
  const contextOf = (sessionId: string) => `wafer:1:${sessionId}`
  return {
    headers({ appId, openId, unionId, sessionId, epoch, expiresAt }) {
      const skey = sealer.seal(JSON.stringify([appId, openId, unionId, epoch, expiresAt]), contextOf(sessionId))
      return ['X-WX-Id', sessionId, 'X-WX-Skey', skey]
    },

    check(sessionId, skey) {
      const opened = sealer.open(skey, contextOf(sessionId))
      if (opened === null) return null
      const [appId, openId, unionId, epoch, expiresAt] = JSON.parse(opened.text) as Sealed
      if (clock.now() > expiresAt + GRACE || revocations.isRevoked({ appId, openId, sessionId, epoch })) return null
      return { appId, openId, unionId }
    }
  }
}

type Sealed = [appId: string, openId: string, unionId: string | null, epoch: number, expiresAt: number]
