/** A refresh: the last refresh token becomes the next pair of tokens. */
import { ApiError } from '../errors.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import { isEnded, type Sessions } from '../identity/sessions.ts'
import type { Grant, Grants } from '../identity/tokens/grants.ts'
import type { RefreshTokens } from '../identity/tokens/refresh-tokens.ts'
import type { Users } from '../identity/users.ts'
import type { Log } from '../telemetry/log.ts'

export interface RefreshRequest {
  readonly refreshToken: string
  /** For the log. */
  readonly clientAddress: string
}

export interface RefreshDeps {
  readonly refreshTokens: Pick<RefreshTokens, 'verify'>
  readonly sessions: Pick<Sessions, 'find' | 'rotate'>
  readonly users: Pick<Users, 'find'>
  readonly ending: Pick<SessionEnding, 'endSession'>
  readonly grants: Grants
  readonly log: Pick<Log, 'warn'>
  readonly onRotation: (outcome: 'rotated' | 'repeated' | 'reused' | 'unknown') => void
}

export interface Refresh {
  refresh(request: RefreshRequest): Promise<Grant>
}

const INVALID = new ApiError('refresh_invalid', 'The refresh token is not valid any more. Log in again.')
const REUSED = new ApiError(
  'refresh_reused',
  'The refresh token was used before. To be safe the session was ended; log in again.'
)

export function createRefresh(deps: RefreshDeps): Refresh {
  const { refreshTokens, sessions, users, ending, grants, log } = deps

  return {
    async refresh({ refreshToken, clientAddress }) {
      const claims = refreshTokens.verify(refreshToken)
      if (claims === null) throw INVALID
      const found = await sessions.find(claims.sessionId)
      if (found !== null && isEnded(found.session)) {
        // An earlier attempt to end it failed before the feed was written.
        await ending.endSession(found.session, found.session.ended)
        throw found.session.ended === 'reuse' ? REUSED : INVALID
      }
      const rotation =
        found === null ? { outcome: 'unknown' as const } : await sessions.rotate(found, claims.generation)
      deps.onRotation(rotation.outcome)
      if (rotation.outcome === 'unknown') throw INVALID
      const { session } = rotation
      if (rotation.outcome === 'reused') {
        const fields = { session: session.id, user: session.userId, app: session.appId, client: clientAddress }
        log.warn({ event: 'refresh_reused', ...fields }, 'a refresh token was used twice; its session is ended')
        await ending.endSession(session, 'reuse')
        throw REUSED
      }
      const user = await users.find(session.appId, session.openId)
      if (user === null || session.epoch < user.epoch) throw INVALID
      return grants.issue(session, user.status)
    }
  }
}
