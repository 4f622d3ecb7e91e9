/** Exchanges a refresh token for the next pair of tokens. */
import { createHash } from 'node:crypto'
import { ApiError } from '../errors.ts'
import type { SessionEnding } from '../identity/end-session.ts'
import type { Revocations } from '../identity/revocations.ts'
import { type FoundSession, isEnded, type Session, type Sessions } from '../identity/sessions.ts'
import type { Grant, Grants } from '../identity/tokens/grants.ts'
import type { RefreshTokens } from '../identity/tokens/refresh-tokens.ts'
import type { User, Users } from '../identity/users.ts'
import type { Log } from '../telemetry/log.ts'

export interface RefreshRequest {
  readonly refreshToken: string
  /** Random text of the sender that binds a repeat to it; null when none was sent. */
  readonly attempt: string | null
  /** For the log. */
  readonly clientAddress: string
}

export interface RefreshDeps {
  readonly refreshTokens: Pick<RefreshTokens, 'verify'>
  readonly limiter: { hit(sessionId: string): void }
  readonly isConfigured: (appId: string) => boolean
  readonly sessions: Pick<Sessions, 'find' | 'rotate'>
  readonly users: Pick<Users, 'touch'>
  readonly revocations: Pick<Revocations, 'epochOf' | 'hasEnded'>
  readonly ending: Pick<SessionEnding, 'endSession'>
  readonly grants: Grants
  readonly log: Pick<Log, 'warn'>
  readonly onRotation: (outcome: 'rotated' | 'repeated' | 'reused' | 'unknown') => void
}

export interface Refresh {
  refresh(request: RefreshRequest): Promise<Grant>
}

const INVALID = new ApiError('refresh_invalid', 'The refresh token is no longer valid. Log in again.')
const REUSED = new ApiError(
  'refresh_reused',
  'The refresh token was used before, so the session was ended. Log in again.'
)

export function createRefresh(deps: RefreshDeps): Refresh {
  const { refreshTokens, limiter, sessions, users, revocations, ending, grants, log } = deps

  function refuse(): never {
    deps.onRotation('unknown')
    throw INVALID
  }

  async function findLive(sessionId: string): Promise<FoundSession & { readonly session: Session }> {
    const found = await sessions.find(sessionId)
    if (found === null) return refuse()
    const { session, stored } = found
    if (isEnded(session)) {
      // An earlier attempt to end it failed before the feed was written.
      await ending.endSession(session, session.ended)
      if (session.ended === 'reuse') throw REUSED
      return refuse()
    }
    // The store may have lost the end of a session that this process has read.
    if (!deps.isConfigured(session.appId) || revocations.hasEnded(session)) return refuse()
    return { session, stored }
  }

  async function findUser({ appId, openId, epoch }: Session): Promise<User> {
    const user = await users.touch(appId, openId, revocations.epochOf(appId, openId))
    return user === null || epoch < user.epoch ? refuse() : user
  }

  async function endReused(session: Session, clientAddress: string): Promise<never> {
    const fields = { session: session.id, user: session.userId, app: session.appId, client: clientAddress }
    log.warn({ event: 'refresh_reused', ...fields }, 'a refresh token was used twice; its session is ended')
    await ending.endSession(session, 'reuse')
    throw REUSED
  }

  return {
    async refresh({ refreshToken, attempt, clientAddress }) {
      const claims = refreshTokens.verify(refreshToken)
      if (claims === null) throw INVALID
      limiter.hit(claims.sessionId)
      const found = await findLive(claims.sessionId)
      const user = await findUser(found.session)
      const sender = attempt === null ? null : createHash('sha256').update(attempt).digest('base64url')
      const request = { generation: claims.generation, unionId: user.unionId, attempt: sender }
      const rotation = await sessions.rotate(found, request)
      if (rotation.outcome === 'unknown') return refuse()
      deps.onRotation(rotation.outcome)
      if (rotation.outcome === 'reused') return endReused(rotation.session, clientAddress)
      return grants.issue(rotation.session, user.status)
    }
  }
}
