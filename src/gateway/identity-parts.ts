/** The parts of identity: keys, tokens, users and sessions of one configuration. */
import type { GatewayConfig } from '../config/config.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { createSealer } from '../crypto/sealer.ts'
import { createAuthenticator } from '../identity/authenticator.ts'
import { createChannelKeys } from '../identity/channel-keys.ts'
import { createSessionEnding } from '../identity/end-session.ts'
import { createOpenDataReader } from '../identity/open-data-reader.ts'
import { createRecordKeys } from '../identity/record-keys.ts'
import { createSessionKeys } from '../identity/session-keys.ts'
import { createSessions } from '../identity/sessions.ts'
import { createAccessTokens } from '../identity/tokens/access-tokens.ts'
import { createGrants } from '../identity/tokens/grants.ts'
import { createJwtCodecs } from '../identity/tokens/jwt-codecs.ts'
import { createRefreshTokens } from '../identity/tokens/refresh-tokens.ts'
import { deriveSigningKeys } from '../identity/tokens/signing-keys.ts'
import { createUsers } from '../identity/users.ts'
import { createWaferKeys } from '../identity/wafer-keys.ts'
import type { Platforms } from '../platforms/registry.ts'
import type { Borrower } from './lender.ts'
import type { Shared } from './shared.ts'

export type IdentityParts = Awaited<ReturnType<typeof borrowIdentity>>

export async function borrowIdentity(
  config: GatewayConfig,
  { store, clock, revocations }: Pick<Shared, 'store' | 'clock' | 'revocations'>,
  { borrow }: Borrower,
  { keyRing, platforms }: { keyRing: KeyRing; platforms: Platforms }
) {
  const { accessTtl, refreshTtl, refreshMaxTtl, repeatWindow, algorithm, issuer, openId } = config.tokens
  const { sessionKeyTtl } = config.sessions
  const appIds = config.apps.map((app) => app.appId)
  const records = await borrow('records', [keyRing], () => createSealer(keyRing, 'records'))
  const tokenParts = [keyRing, algorithm, issuer, appIds, accessTtl, openId]
  const accessTokens = await borrow('access-tokens', tokenParts, async () =>
    createAccessTokens({
      codecs: await createJwtCodecs(deriveSigningKeys(keyRing, algorithm)),
      issuer,
      appIds,
      accessTtl,
      openId,
      sealer: createSealer(keyRing, 'openid', { deterministic: true }),
      clock
    })
  )
  const refreshTokens = await borrow('refresh-tokens', [keyRing], () => createRefreshTokens(keyRing))
  const authenticator = await borrow('authenticator', [accessTokens], () =>
    createAuthenticator(accessTokens, revocations)
  )
  const keys = await borrow('record-keys', [platforms], () => createRecordKeys(platforms.of))
  const sessionKeys = await borrow('session-keys', [records, keys, sessionKeyTtl], () =>
    createSessionKeys({ store, sealer: records, clock, keys, sessionKeyTtl })
  )
  const openData = await borrow('open-data', [sessionKeys, platforms], () =>
    createOpenDataReader({ sessionKeys, openDataOf: (appId) => platforms.require(appId, 'openData'), clock })
  )
  const appsById = new Map(config.apps.map((app) => [app.appId, app]))
  const channelKeys = await borrow('channel-keys', [records, keys, sessionKeys, platforms, config.apps], () =>
    createChannelKeys({
      store,
      sealer: records,
      clock,
      keys,
      sessionKeys,
      findApp: (appId) => appsById.get(appId),
      channelOf: (appId) => platforms.require(appId, 'channel')
    })
  )
  const users = await borrow('users', [records, keys], () => createUsers({ store, sealer: records, clock, keys }))
  const sessions = await borrow('sessions', [refreshTtl, refreshMaxTtl, repeatWindow], () =>
    createSessions({ store, clock, refreshTtl, refreshMaxTtl, repeatWindow })
  )
  const grants = await borrow('grants', [accessTokens, refreshTokens, accessTtl, refreshTtl], () =>
    createGrants({ accessTokens, refreshTokens, accessTtl, refreshTtl })
  )
  const sessionEnding = await borrow('session-ending', [sessions, users, sessionKeys, appIds], () =>
    createSessionEnding({ sessions, users, sessionKeys, revocations, isConfigured: (id) => appIds.includes(id) })
  )
  const waferKeys = await borrow('wafer-keys', [keyRing], () =>
    createWaferKeys({ sealer: createSealer(keyRing, 'wafer'), clock, revocations })
  )
  return {
    accessTokens,
    refreshTokens,
    authenticator,
    sessionKeys,
    openData,
    channelKeys,
    users,
    sessions,
    grants,
    sessionEnding,
    waferKeys
  }
}
