/** Sessions: one per login. A session is also the family of its refresh tokens. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { untilWritten } from '../store/contention.ts'
import type { Store } from '../store/port.ts'
import type { Claims } from './principal.ts'

/** `generation` counts the refresh tokens issued; only the newest one is unused. */
export interface Session {
  readonly id: string
  readonly appId: string
  readonly openId: string
  readonly unionId: string | null
  readonly userId: string
  readonly epoch: number
  readonly claims: Claims
  readonly generation: number
  /** Issue time of the newest tokens and latest end of the family, in milliseconds since the
   *  epoch. */
  readonly issuedAt: number
  readonly endsAt: number
  /** Identifies the sender of the last refresh; null when it sent no `attempt`, absent before
   *  the first refresh. */
  readonly attempt?: string | null
}

export type NewSession = Pick<Session, 'id' | 'appId' | 'openId' | 'unionId' | 'userId' | 'epoch' | 'claims'>

export type EndReason = 'logout' | 'kick' | 'reuse'

/** The record of a session that is being ended: no refresh is possible, and the revocation feed
 *  may not contain it yet. */
export interface EndedMark {
  readonly id: string
  readonly appId: string
  readonly userId: string
  readonly ended: EndReason
}

export interface FoundSession {
  readonly session: Session | EndedMark
  /** The stored text. A write based on it is refused once the record has changed. */
  readonly stored: string
}

export interface RotationRequest {
  readonly generation: number
  /** From the user record: it may be newer than the session. */
  readonly unionId: string | null
  readonly attempt: string | null
}

export type Rotation =
  | { readonly outcome: 'rotated' | 'repeated'; readonly session: Session }
  /** A refresh token was used a second time: end the family. */
  | { readonly outcome: 'reused'; readonly session: Session }
  | { readonly outcome: 'unknown' }

export interface Sessions {
  begin(subject: NewSession): Promise<Session>
  find(id: string): Promise<FoundSession | null>
  /** Moves the family to its next generation. Of any number of racing calls one rotates; within
   *  the repeat window the others get the same result if they send the same attempt.
   *  @param found As read before; read again when another call was faster. */
  rotate(found: FoundSession, request: RotationRequest): Promise<Rotation>
  /** First step of ending a session: refuses every later refresh. */
  markEnded(session: Omit<EndedMark, 'ended'>, reason: EndReason): Promise<void>
  /** Last step of ending a session. */
  forget(id: string): Promise<void>
}

export interface SessionsOptions {
  readonly store: Pick<Store, 'get' | 'set' | 'delete' | 'compareAndSet'>
  readonly clock: Pick<Clock, 'now'>
  /** Milliseconds: the lifetime of a family without a refresh, and its longest lifetime. */
  readonly refreshTtl: number
  readonly refreshMaxTtl: number
  /** Milliseconds during which the last but one refresh token gets the same answer again. */
  readonly repeatWindow: number
}

export function newSessionId(): string {
  return randomBytes(16).toString('base64url')
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, clock, refreshTtl, refreshMaxTtl, repeatWindow } = options
  const keyOf = (id: string) => `session:${id}`
  const ttlOf = (session: Session) => Math.max(1, Math.min(refreshTtl, session.endsAt - clock.now()))

  async function find(id: string): Promise<FoundSession | null> {
    const stored = await store.get(keyOf(id))
    return stored === undefined ? null : { stored, session: JSON.parse(stored) as Session | EndedMark }
  }

  async function rotateOnce(
    { stored, session }: FoundSession,
    { generation, unionId, attempt }: RotationRequest
  ): Promise<Rotation | undefined> {
    if (isEnded(session)) return { outcome: 'unknown' }
    const now = clock.now()
    // A token newer than the record: the store lost a write (failover, crash). The token's
    // signature proves its generation.
    if (generation >= session.generation) {
      if (session.endsAt <= now) return { outcome: 'unknown' }
      const next: Session = {
        ...session,
        unionId: unionId ?? session.unionId,
        generation: generation + 1,
        issuedAt: now,
        attempt
      }
      const isWritten = await store.compareAndSet(keyOf(session.id), stored, JSON.stringify(next), ttlOf(next))
      return isWritten ? { outcome: 'rotated', session: next } : undefined
    }
    const isLast = session.generation === generation + 1 && (session.attempt ?? null) === attempt
    const isRepeat = isLast && repeatWindow > 0 && now - session.issuedAt <= repeatWindow
    return { outcome: isRepeat ? 'repeated' : 'reused', session }
  }

  return {
    async begin(subject) {
      const now = clock.now()
      const session: Session = { ...subject, generation: 0, issuedAt: now, endsAt: now + refreshMaxTtl }
      await store.set(keyOf(session.id), JSON.stringify(session), ttlOf(session))
      return session
    },

    find,

    rotate(first, request) {
      let known: FoundSession | null = first
      return untilWritten('a session', async () => {
        const found = known ?? (await find(first.session.id))
        known = null
        return found === null ? { outcome: 'unknown' } : rotateOnce(found, request)
      })
    },

    async markEnded({ id, appId, userId }, reason) {
      const mark: EndedMark = { id, appId, userId, ended: reason }
      await store.set(keyOf(id), JSON.stringify(mark), refreshTtl)
    },

    async forget(id) {
      await store.delete(keyOf(id))
    }
  }
}

export function isEnded(session: Session | EndedMark): session is EndedMark {
  return 'ended' in session
}
