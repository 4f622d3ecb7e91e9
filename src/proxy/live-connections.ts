/** Registry of open WebSockets and event streams, kept across reloads. It ends a connection with
 *  its session, at its maximum age, or when the gateway drains. */
import type { Clock } from '../clock.ts'
import { ApiError } from '../errors.ts'
import type { Guard } from '../http/guard.ts'
import type { Authenticator } from '../identity/authenticator.ts'
import type { Principal } from '../identity/principal.ts'
import type { Revocations } from '../identity/revocations.ts'

/** Interval between two checks of sessions and ages. */
const INTERVAL_MS = 200
/** Longest time between two ends while draining: clients reconnect one after the other. */
const MAX_GAP_MS = 50
/** Share of the drain timeout after which the last connection ends. */
const DRAIN_SHARE = 0.8

/** `max_age` and `draining` leave the session valid. */
export type EndReason = 'session_revoked' | 'token_expired' | 'token_invalid' | 'max_age' | 'draining'

export interface LiveConnection {
  /** Null for a connection without a session. */
  readonly session: { readonly principal: Principal; readonly authorization: string | undefined } | null
  /** 0: as long as its session lives. */
  readonly maxAgeMs: number
  end(reason: EndReason): void
}

export interface LiveConnections {
  add(connection: LiveConnection): void
  remove(connection: LiveConnection): void
  /** Sets the authenticator that decides about tokens from now on. */
  use(authenticator: Pick<Authenticator, 'authenticate'>): void
  /** Ends all connections, spread over most of the time. */
  drain(timeoutMs: number): void
}

interface Entry {
  readonly openedAt: number
  judgedBy: object | null
}

export interface LiveConnectionsDeps {
  readonly clock: Clock
  readonly revocations: Pick<Revocations, 'version' | 'isRevoked'>
  readonly guard: Pick<Guard, 'toApiError'>
}

export function createLiveConnections({ clock, revocations, guard }: LiveConnectionsDeps): LiveConnections {
  const open = new Map<LiveConnection, Entry>()
  let authenticator: Pick<Authenticator, 'authenticate'> | null = null
  let isLooking = false
  let isDraining = false
  let seen = -1

  function look(): void {
    isLooking = open.size > 0
    if (!isLooking) return
    const haveSessionsEnded = revocations.version !== seen
    seen = revocations.version
    for (const [connection, entry] of [...open]) {
      const reason = reasonToEnd(connection, entry, haveSessionsEnded)
      if (reason !== null) end(connection, reason)
    }
    clock.setTimeout(look, INTERVAL_MS).unref()
  }

  /** A connection that cannot be ended does not keep the others open. */
  function end(connection: LiveConnection, reason: EndReason): void {
    try {
      connection.end(reason)
    } catch (error) {
      open.delete(connection)
      guard.toApiError(error, null)
    }
  }

  function reasonToEnd({ session, maxAgeMs }: LiveConnection, entry: Entry, haveEnded: boolean): EndReason | null {
    if (maxAgeMs > 0 && clock.monotonic() - entry.openedAt >= maxAgeMs) return 'max_age'
    if (session === null) return null
    const { principal, authorization } = session
    if (principal.expiresAt <= clock.now()) return 'token_expired'
    if (haveEnded && revocations.isRevoked(principal)) return 'session_revoked'
    if (authenticator === null || entry.judgedBy === authenticator) return null
    entry.judgedBy = authenticator
    const sender = authenticator.authenticate(authorization)
    return sender instanceof ApiError && sender.code === 'token_invalid' ? 'token_invalid' : null
  }

  return {
    add(connection) {
      if (isDraining) {
        end(connection, 'draining')
        return
      }
      open.set(connection, { openedAt: clock.monotonic(), judgedBy: null })
      // The session may have ended since it was authenticated.
      seen = -1
      if (isLooking) return
      isLooking = true
      clock.setTimeout(look, INTERVAL_MS).unref()
    },
    remove: (connection) => void open.delete(connection),
    use(next) {
      authenticator = next
    },
    drain(timeoutMs) {
      isDraining = true
      const all = [...open.keys()]
      const gapMs = Math.min(MAX_GAP_MS, (timeoutMs * DRAIN_SHARE) / Math.max(1, all.length))
      const startedAt = clock.monotonic()
      let ended = 0
      const step = () => {
        const due = gapMs > 0 ? 1 + Math.floor((clock.monotonic() - startedAt) / gapMs) : all.length
        for (; ended < Math.min(due, all.length); ended++) {
          const connection = all[ended]
          if (connection && open.has(connection)) end(connection, 'draining')
        }
        if (ended < all.length) clock.setTimeout(step, gapMs)
      }
      step()
    }
  }
}
