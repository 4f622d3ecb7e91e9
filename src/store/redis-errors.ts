/** Explains errors of Redis, the network and TLS. Never passes on the text of an error: Redis
 *  repeats arguments of commands in some, and AUTH carries the password. */
import { StoreError } from '../errors.ts'

const REPLIES: Readonly<Record<string, string>> = {
  WRONGPASS: 'refuses the user or password of the store URL',
  NOAUTH: 'requires a user and password; put them into the store URL',
  NOPERM: 'does not allow this user the commands that wxgate needs; see the ACL in the documentation',
  LOADING: 'is still loading its data',
  OOM: 'is out of memory; raise maxmemory, and keep maxmemory-policy noeviction or volatile-ttl',
  MISCONF: 'cannot save to its disk and refuses writes',
  READONLY: 'is a replica and refuses writes; name the master',
  MASTERDOWN: 'is a replica without its master',
  NOREPLICAS: 'has too few replicas and refuses writes',
  CLUSTERDOWN: 'is a cluster that is down or incomplete',
  CROSSSLOT: 'is a cluster; use redis+cluster://',
  MOVED: 'is part of a cluster; use redis+cluster://',
  BUSY: "is busy with another client's script",
  WRONGTYPE: 'holds a value of another kind under this key; give wxgate a ?prefix= of its own'
}

/** The first word of an error reply; null for an error that no server sent. */
export function replyCodeOf(error: unknown): string | null {
  return (error instanceof Error && /^([A-Z]{2,})\b/.exec(error.message)?.[1]) || null
}

export function describeRedisError(error: unknown): string {
  const reply = replyCodeOf(error)
  if (reply === 'ERR' && error instanceof Error && /DB index is out of range/.test(error.message))
    return 'has no database of this number'
  if (reply !== null) return REPLIES[reply] ?? `answered with the error ${reply}`
  const code = codeOf(error)
  return code === null ? 'cannot be reached' : `cannot be reached (${code})`
}

export function toRedisStoreError(label: string, error: unknown): StoreError {
  return error instanceof StoreError ? error : new StoreError(`the store (${label}) ${describeRedisError(error)}`)
}

/** A code of the system or of TLS, such as ECONNREFUSED or SELF_SIGNED_CERT_IN_CHAIN. */
function codeOf(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return null
  return /^[A-Z0-9_]+$/.test(error.code) ? error.code : null
}
