/** `sessions`: the stored part of a login. */
import type { Static } from 'typebox'
import { duration, lifetime, section } from '../terms.ts'
import { milliseconds } from '../units.ts'

export const sessions = section('The stored part of a login.', {
  sessionKeyTtl: lifetime('After this time a new login is required before session_key is used again.', '2h'),
  storeGrace: duration('Valid tokens are accepted this long while the store cannot be reached.', '5m', { max: '1d' })
})

export function resolveSessions({ sessionKeyTtl, storeGrace }: Static<typeof sessions>) {
  return { sessionKeyTtl: milliseconds(sessionKeyTtl), storeGrace: milliseconds(storeGrace) }
}
