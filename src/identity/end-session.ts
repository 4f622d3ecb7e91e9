/** Ends sessions in one order for logout, kick, refresh reuse and revoked authorizations. */
import type { LostEnd } from './lost-ends.ts'
import type { Revocations } from './revocations.ts'
import type { SessionKeys } from './session-keys.ts'
import type { EndReason, Session, Sessions } from './sessions.ts'
import type { Users } from './users.ts'

export type EndedSession = Pick<Session, 'id' | 'appId' | 'userId'>

export interface SessionEnding {
  /** In force on this instance when it resolves, on the others within a second. After a
   *  StoreError the outcome is unknown; repeating the call is safe. */
  endSession(session: EndedSession, reason: EndReason): Promise<void>
  /** Ends every session of the user in one mini-program and wipes the session_key. False for an
   *  unknown user.
   *  @param isRevoked The user revoked the authorization: the user's record notes it. */
  endAllSessions(appId: string, openId: string, isRevoked?: boolean): Promise<boolean>
  /** Repairs the records behind an end that the store lost. */
  mend(end: LostEnd): Promise<void>
}

export interface SessionEndingDeps {
  readonly sessions: Pick<Sessions, 'markEnded' | 'forget'>
  readonly users: Pick<Users, 'endSessions' | 'touch'>
  readonly isConfigured: (appId: string) => boolean
  readonly sessionKeys: Pick<SessionKeys, 'seen' | 'forget'>
  readonly revocations: Pick<Revocations, 'endSession' | 'endUser'>
}

/** Writes the record first, which stops refreshes, then the feed, which stops access tokens on
 *  every instance, the caller's own included. In the other order a failure between the two leaves a
 *  session that can be refreshed once its feed entry expires, and a client that cannot repeat its
 *  logout. The mark stays in the record until the feed is written, so the next logout, kick or
 *  refresh finds it and ends the session again. */
export function createSessionEnding(deps: SessionEndingDeps): SessionEnding {
  const { sessions, users, sessionKeys, revocations, isConfigured } = deps
  return {
    async endSession(session, reason) {
      await sessions.markEnded(session, reason)
      await revocations.endSession(session.id)
      // The mark refuses refreshes as a missing record does, so a failure here changes nothing.
      await sessions.forget(session.id).catch(() => undefined)
    },

    async endAllSessions(appId, openId, isRevoked = false) {
      // Read before the sessions end: the key of a login that comes after them is not among these.
      const keys = await sessionKeys.seen(appId, openId)
      const user = await users.endSessions(appId, openId, isRevoked)
      if (user === null) return false
      await sessionKeys.forget(keys)
      await revocations.endUser(appId, openId, user.epoch)
      return true
    },

    async mend(end) {
      if ('sessionId' in end) await sessions.forget(end.sessionId)
      // A mini-program that is not configured refreshes nothing.
      else if (isConfigured(end.appId)) await users.touch(end.appId, end.openId, end.epoch)
    }
  }
}
