/** The users of the sandbox: ids by mini-program and name, and the session_key of each. */
import { createHash, randomBytes } from 'node:crypto'
import { createBoundedMap } from './bounded-map.ts'

export interface Person {
  readonly name: string
  /** The same for (appid, name) on every machine. */
  readonly openId: string
  /** The same for the name in all mini-programs; empty while the mini-program is not bound to
   *  an Open Platform account. */
  readonly unionId: string
}

export interface SessionKeys {
  readonly current: string | null
  /** Replaced by the current one; WeChat no longer accepts it. */
  readonly previous: string | null
}

export interface People {
  person(appId: string, name: string): Person
  /** Null for an openid that no call has produced. */
  byOpenId(appId: string, openId: string): Person | null
  sessionKeys(appId: string, openId: string): SessionKeys
  /** Gives a new key. The old one is no longer valid. */
  rotateSessionKey(appId: string, openId: string): string
  expireSessionKey(appId: string, openId: string): void
  /** Binds the user to another Open Platform account. With an empty text the user has none and
   *  answers carry no unionid. */
  setUnionId(appId: string, name: string, unionId: string): void
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

    setUnionId: (appId, name, unionId) => void people.set(id(appId, name), { ...person(appId, name), unionId }),

    clear() {
      for (const map of [people, names, keys]) map.clear()
    }
  }
}

function digest(text: string): string {
  return createHash('sha256').update(`wxgate sandbox ${text}`).digest('base64url')
}

/** A mainland number, always the same for a name. */
export function phoneNumberOf(name: string): string {
  const number = createHash('sha256').update(`phone ${name}`).digest().readUInt32BE(0) % 100_000_000
  return `138${String(number).padStart(8, '0')}`
}
