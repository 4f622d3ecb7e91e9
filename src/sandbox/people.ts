/** The users of the sandbox: who a name is in each mini-program, and the one session_key each has there. */
import { createHash, randomBytes } from 'node:crypto'
import { createBoundedMap } from './bounded-map.ts'

export interface Person {
  readonly name: string
  /** Stable for (appid, name), on every machine. */
  readonly openId: string
  /** Stable for the name, the same in all mini-programs. */
  readonly unionId: string
}

export interface SessionKeys {
  readonly current: string | null
  /** Pushed out by the current one; WeChat no longer knows it. */
  readonly previous: string | null
}

export interface People {
  person(appId: string, name: string): Person
  /** Null for an openid that no call or login has produced yet. */
  byOpenId(appId: string, openId: string): Person | null
  sessionKeys(appId: string, openId: string): SessionKeys
  /** A new key; the old one is worth nothing from here on. */
  rotateSessionKey(appId: string, openId: string): string
  expireSessionKey(appId: string, openId: string): void
  clear(): void
}

const NO_KEYS: SessionKeys = { current: null, previous: null }

export function createPeople(): People {
  const people = createBoundedMap<string, Person>()
  const names = createBoundedMap<string, string>()
  const keys = createBoundedMap<string, SessionKeys>()
  const id = (appId: string, second: string) => `${appId} ${second}`

  function person(appId: string, name: string): Person {
    const known = people.get(id(appId, name))
    if (known) return known
    const made = {
      name,
      openId: `o${digest(`openid ${appId} ${name}`).slice(0, 27)}`,
      unionId: `u${digest(`unionid ${name}`).slice(0, 27)}`
    }
    people.set(id(appId, name), made)
    names.set(id(appId, made.openId), name)
    return made
  }

  return {
    person,

    byOpenId(appId, openId) {
      const name = names.get(id(appId, openId))
      return name === undefined ? null : person(appId, name)
    },

    sessionKeys: (appId, openId) => keys.get(id(appId, openId)) ?? NO_KEYS,

    rotateSessionKey(appId, openId) {
      const current = randomBytes(16).toString('base64')
      const previous = keys.get(id(appId, openId))?.current ?? null
      keys.set(id(appId, openId), { current, previous })
      return current
    },

    expireSessionKey(appId, openId) {
      const previous = keys.get(id(appId, openId))?.current ?? null
      keys.set(id(appId, openId), { current: null, previous })
    },

    clear() {
      for (const map of [people, names, keys]) map.clear()
    }
  }
}

function digest(text: string): string {
  return createHash('sha256').update(`wxgate sandbox ${text}`).digest('base64url')
}

/** A mainland number that is always the same for a name. */
export function phoneNumberOf(name: string): string {
  const number = createHash('sha256').update(`phone ${name}`).digest().readUInt32BE(0) % 100_000_000
  return `138${String(number).padStart(8, '0')}`
}
