/** Ends sessions. Logout, kick, refresh reuse and revoked authorizations all come here, so that there is one order. */
import type { Revocations } from './revocations.ts'
import type { SessionKeys } from './session-keys.ts'
import type { EndReason, Session, Sessions } from './sessions.ts'
import type { Users } from './users.ts'

export type EndedSession = Pick<Session, 'id' | 'appId' | 'userId'>

export interface SessionEnding {
  /** In force here when this resolves, on every other instance within a second. After a StoreError the outcome is unknown;
   *  ending again is safe. */
  endSession(session: EndedSession, reason: EndReason): Promise<void>
  /** Ends every session of the user in one mini-program and wipes the session_key. False for an unknown user. */
  endAllSessions(appId: string, openId: string): Promise<boolean>
}

export interface SessionEndingDeps {
  readonly sessions: Pick<Sessions, 'markEnded' | 'forget'>
  readonly users: Pick<Users, 'endSessions'>
  readonly sessionKeys: Pick<SessionKeys, 'forget'>
  readonly revocations: Pick<Revocations, 'endSession' | 'endUser'>
}

/** The record first, the feed second. The record stops refreshes, the feed stops access tokens everywhere, the caller's
 *  own included. In the other order a failure between the two would leave a session that can be refreshed once its feed
 *  entry has expired, and a client whose logout can no longer be repeated. The mark in the record stays until the feed is
 *  written, so that after a failure the next logout, kick or refresh finds it and ends the session again. */
export function createSessionEnding({ sessions, users, sessionKeys, revocations }: SessionEndingDeps): SessionEnding {
  return {
    async endSession(session, reason) {
      await sessions.markEnded(session, reason)
      await revocations.endSession(session.id)
      // The mark refuses refreshes as well as a missing record does: a failure here changes nothing.
      await sessions.forget(session.id).catch(() => undefined)
    },

    async endAllSessions(appId, openId) {
      const user = await users.endSessions(appId, openId)
      if (user === null) return false
      await sessionKeys.forget(appId, openId)
      await revocations.endUser(appId, openId, user.epoch)
      return true
    }
  }
}
