/** `sessions`: the stored part of a login. */
import { type Static, Type } from '../../schema.ts'
import type { Draft, RuleContext } from '../section.ts'
import { duration, lifetime, section } from '../terms.ts'
import { milliseconds } from '../units.ts'
import { isRedis, type StoreDraft } from './store.ts'

export const sessions = section('The stored part of a login.', {
  sessionKeyTtl: lifetime('After this time a new login is required before session_key is used again.', '2h'),
  storeGrace: duration('Valid tokens are accepted this long while the store cannot be reached.', '5m', { max: '1d' }),
  waitReplicas: Type.Integer({
    description: 'Redis: so many replicas must confirm the end of a session before it is answered.',
    minimum: 0,
    maximum: 16,
    default: 0
  })
})

type SessionsDraft = Draft<{ sessions: Static<typeof sessions> }>

export function checkSessions(draft: SessionsDraft & StoreDraft, { report }: RuleContext): void {
  const { store } = draft
  if (!draft.sessions?.waitReplicas || store === undefined || isRedis(store)) return
  report.error(['sessions', 'waitReplicas'], 'needs a store in Redis: other stores have no replicas', 'leave it out')
}

export function resolveSessions({ sessionKeyTtl, storeGrace, waitReplicas }: Static<typeof sessions>) {
  return { sessionKeyTtl: milliseconds(sessionKeyTtl), storeGrace: milliseconds(storeGrace), waitReplicas }
}
