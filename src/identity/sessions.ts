/** Sessions: one per login, the family of its refresh tokens, and how it ends. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { untilWritten } from '../store/contention.ts'
import type { Store } from '../store/port.ts'
import type { Claims } from './principal.ts'

/** A refresh token may be sent again for this long (milliseconds) when its answer was lost on the way. */
export const REPEAT_WINDOW = 10_000

/** `generation` counts the refresh tokens given out; the newest is the only one not yet used. */
export interface Session {
  readonly id: string
  readonly appId: string
  readonly openId: string
  readonly unionId: string | null
  readonly userId: string
  readonly epoch: number
  readonly claims: Claims
  readonly generation: number
  /** When the newest tokens were issued, and when the family ends at the latest; milliseconds since the epoch. */
  readonly issuedAt: number
  readonly endsAt: number
}

export type NewSession = Pick<Session, 'appId' | 'openId' | 'unionId' | 'userId' | 'epoch' | 'claims'>

export type Rotation =
  | { readonly outcome: 'rotated' | 'repeated'; readonly session: Session }
  /** A refresh token was used a second time: the family has to be ended. */
  | { readonly outcome: 'reused'; readonly session: Session }
  | { readonly outcome: 'unknown' }

export interface Sessions {
  begin(subject: NewSession): Promise<Session>
  find(id: string): Promise<Session | null>
  /** Moves the family on from `generation`. Of any number of racing calls one rotates and, within the window, the others
   *  are told the same. */
  rotate(id: string, generation: number): Promise<Rotation>
  /** True when there was such a session. */
  end(id: string): Promise<boolean>
}

export interface SessionsOptions {
  readonly store: Store
  readonly clock: Clock
  /** Milliseconds: how long a family lives without a refresh, and in all. */
  readonly refreshTtl: number
  readonly refreshMaxTtl: number
}

export function createSessions({ store, clock, refreshTtl, refreshMaxTtl }: SessionsOptions): Sessions {
  const keyOf = (id: string) => `session:${id}`
  const ttlOf = (session: Session) => Math.max(1, Math.min(refreshTtl, session.endsAt - clock.now()))

  async function read(id: string): Promise<{ stored: string; session: Session } | null> {
    const stored = await store.get(keyOf(id))
    return stored === undefined ? null : { stored, session: JSON.parse(stored) as Session }
  }

  return {
    async begin(subject) {
      const now = clock.now()
      const id = randomBytes(16).toString('base64url')
      const session: Session = { id, ...subject, generation: 0, issuedAt: now, endsAt: now + refreshMaxTtl }
      await store.set(keyOf(id), JSON.stringify(session), ttlOf(session))
      return session
    },

    async find(id) {
      return (await read(id))?.session ?? null
    },

    rotate: (id, generation) =>
      untilWritten('a session', async (): Promise<Rotation | undefined> => {
        const found = await read(id)
        if (!found) return { outcome: 'unknown' }
        const { stored, session } = found
        const now = clock.now()
        // A token of ours that is newer than the record: the store lost a write (a failover, a crash). The token proves
        // the generation that it names.
        if (generation >= session.generation) {
          if (session.endsAt <= now) return { outcome: 'unknown' }
          const next: Session = { ...session, generation: generation + 1, issuedAt: now }
          const isWritten = await store.compareAndSet(keyOf(id), stored, JSON.stringify(next), ttlOf(next))
          return isWritten ? { outcome: 'rotated', session: next } : undefined
        }
        const isRepeat = session.generation === generation + 1 && now - session.issuedAt <= REPEAT_WINDOW
        // The record stays until the caller has told everyone, so that a failure on the way is met again and not forgotten.
        return { outcome: isRepeat ? 'repeated' : 'reused', session }
      }),

    end: (id) => store.delete(keyOf(id))
  }
}
