/** Reads a Redis URL: one server, a Cluster, or servers that Sentinel names.
 *  `redis[s]://[user:password@]host[:port][/db][?prefix=…&ca=FILE]`
 *  `redis[s]+cluster://[user:password@]host[:port],host[:port]…[?prefix=…]`
 *  `redis[s]+sentinel://[user:password@]host[:port],…[/db]?name=MASTER[&sentinelUsername=…&sentinelPassword=…]` */
import { StoreError } from '../errors.ts'

const PATTERN = /^redis(s?)(?:\+(cluster|sentinel))?:\/\/(?:(.*)@)?([^@/?#]+)(?:\/(\d*))?(?:\?([^#]*))?$/
const PARAMETERS = ['prefix', 'ca', 'name', 'sentinelUsername', 'sentinelPassword']
const DEFAULT_PREFIX = 'wxgate:'

export interface RedisNode {
  readonly host: string
  readonly port: number
}

export interface RedisCredentials {
  readonly username: string | null
  readonly password: string | null
}

export interface RedisAddress {
  readonly kind: 'server' | 'cluster' | 'sentinel'
  readonly nodes: readonly [RedisNode, ...RedisNode[]]
  readonly isTls: boolean
  /** PEM file of the authority that signed the servers' certificates; null for the system's
   *  authorities. */
  readonly caFile: string | null
  readonly credentials: RedisCredentials
  readonly database: number
  readonly prefix: string
  /** Name of the group of servers in Sentinel. */
  readonly masterName: string
  readonly sentinelCredentials: RedisCredentials
  /** Without credentials, for messages. */
  readonly label: string
}

/** Null for another kind of URL. Throws a {@link StoreError} that repeats nothing of the URL. */
export function parseRedisUrl(url: string): RedisAddress | null {
  if (!/^rediss?(\+\w+)?:/.test(url)) return null
  const match = PATTERN.exec(url)
  if (!match) throw wrong('cannot be read; write redis://user:password@host:6379/0 and percent-encode / ? # % in them')
  const [, secure, variant, userinfo, hosts = '', database, query = ''] = match
  const kind = variant === 'cluster' || variant === 'sentinel' ? variant : 'server'
  const parameters = new URLSearchParams(query)
  for (const name of parameters.keys())
    if (!PARAMETERS.includes(name))
      throw wrong(`has a parameter that does not exist; known are ${PARAMETERS.join(', ')}`)

  const [first, ...others] = hosts.split(',').map((host) => parseNode(host, kind === 'sentinel' ? 26379 : 6379))
  if (!first) throw wrong('names no host')
  if (kind === 'server' && others.length > 0)
    throw wrong('names several hosts; use redis+cluster:// or redis+sentinel://')
  if (kind === 'cluster' && Number(database ?? 0) !== 0) throw wrong('names a database; a Redis Cluster has only 0')
  const masterName = parameters.get('name') ?? ''
  if (kind === 'sentinel' && !masterName) throw wrong('lacks the name of the master: add ?name=mymaster')

  const separator = userinfo?.indexOf(':') ?? -1
  return {
    kind,
    nodes: [first, ...others],
    isTls: secure === 's',
    caFile: parameters.get('ca'),
    credentials: {
      username: decode(separator < 0 ? userinfo : userinfo?.slice(0, separator)),
      password: decode(separator < 0 ? undefined : userinfo?.slice(separator + 1))
    },
    database: Number(database ?? 0),
    prefix: parameters.get('prefix') ?? DEFAULT_PREFIX,
    masterName,
    sentinelCredentials: {
      username: parameters.get('sentinelUsername'),
      password: parameters.get('sentinelPassword')
    },
    label: `redis${kind === 'server' ? '' : ` ${kind}`} at ${hosts}`
  }
}

function parseNode(text: string, defaultPort: number): RedisNode {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3] ?? defaultPort)
  if (!host || port < 1 || port > 65_535) throw wrong('has a host or port that cannot be read')
  return { host, port }
}

function decode(text: string | undefined): string | null {
  if (!text) return null
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('has a user or password that is not percent-encoded correctly')
  }
}

function wrong(what: string): StoreError {
  return new StoreError(`the redis URL of the store ${what}`)
}
