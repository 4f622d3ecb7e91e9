/** Access tokens under WeChat's rules: stable_token and the older /cgi-bin/token do not end
 *  each other's tokens. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../clock.ts'
import { createBoundedMap } from './bounded-map.ts'

const LIFE = 7200_000
const OVERLAP = 300_000
const FORCE_GAP = 30_000
const FORCES_PER_DAY = 20
const DAY = 86_400_000

export interface IssuedToken {
  readonly access_token: string
  /** Whole seconds. */
  readonly expires_in: number
}

export interface AccessTokenOffice {
  /** The same token with its remaining seconds; a new one in its last five minutes, both valid
   *  for five more. `force` ends the old one at once, at most 20 times a day and 30 s apart;
   *  otherwise it has no effect. */
  stable(appId: string, force: boolean): IssuedToken
  /** /cgi-bin/token: a new token each time; the one before it is valid for five more minutes. */
  plain(appId: string): IssuedToken
  /** The appid, or the errcode for an invalid token. */
  check(token: string): string | number
  /** Makes the app's tokens fail with 42001, as expired ones do. */
  expire(appId: string): void
  /** Makes the app's tokens fail with 40001, as replaced ones do. */
  kill(appId: string): void
  clear(): void
}

interface Token {
  readonly text: string
  readonly appId: string
  validUntil: number
  wasReplaced: boolean
}

export function createAccessTokenOffice(clock: Clock): AccessTokenOffice {
  const tokens = createBoundedMap<string, Token>(20_000)
  const current = { stable: createBoundedMap<string, Token>(), plain: createBoundedMap<string, Token>() }
  const forces = createBoundedMap<string, number[]>()

  function issue(kind: 'stable' | 'plain', appId: string, overlap: number): IssuedToken {
    const old = current[kind].get(appId)
    if (old) {
      old.wasReplaced = true
      old.validUntil = clock.now() + overlap
    }
    const text = `99_${randomBytes(100).toString('base64url')}`
    const token = { text, appId, validUntil: clock.now() + LIFE, wasReplaced: false }
    tokens.set(text, token)
    current[kind].set(appId, token)
    return toWire(token)
  }

  const toWire = (token: Token): IssuedToken => ({
    access_token: token.text,
    expires_in: Math.floor((token.validUntil - clock.now()) / 1000)
  })

  function mayForce(appId: string): boolean {
    const now = clock.now()
    const recent = (forces.get(appId) ?? []).filter((time) => time > now - DAY)
    const last = recent.at(-1)
    if (recent.length >= FORCES_PER_DAY || (last !== undefined && now - last < FORCE_GAP)) return false
    forces.set(appId, [...recent, now])
    return true
  }

  function end(appId: string, how: (token: Token) => void): void {
    for (const kind of ['stable', 'plain'] as const) {
      const token = current[kind].get(appId)
      if (token) how(token)
      current[kind].delete(appId)
    }
  }

  return {
    stable(appId, force) {
      if (force && mayForce(appId)) return issue('stable', appId, 0)
      const token = current.stable.get(appId)
      const left = token ? token.validUntil - clock.now() : 0
      if (!token || left <= 0) return issue('stable', appId, 0)
      return left > OVERLAP ? toWire(token) : issue('stable', appId, OVERLAP)
    },

    plain: (appId) => issue('plain', appId, OVERLAP),

    check(text) {
      const token = tokens.get(text)
      if (!token) return /^[A-Za-z0-9_-]{20,512}$/.test(text) ? 40001 : 40014
      if (clock.now() < token.validUntil) return token.appId
      return token.wasReplaced ? 40001 : 42001
    },

    expire: (appId) =>
      end(appId, (token) => {
        token.validUntil = 0
      }),

    kill: (appId) =>
      end(appId, (token) => {
        token.validUntil = 0
        token.wasReplaced = true
      }),

    clear() {
      for (const map of [tokens, current.stable, current.plain, forces]) map.clear()
    }
  }
}
