/** Ending every session of a user. */

import type { Revocations } from './revocations.ts'
import type { Users } from './users.ts'

/** In force on every instance within a second. False when there is no such user. */
export async function endAllSessions(
  { users, revocations }: { readonly users: Users; readonly revocations: Revocations },
  appId: string,
  openId: string
): Promise<boolean> {
  const user = await users.endSessions(appId, openId)
  if (user) await revocations.endUser(appId, openId, user.epoch)
  return user !== null
}
