/** One server of an upstream: its connection pool and the state that balancing reads. */
import type { LookupFunction } from 'node:net'
import type { Clock } from '../clock.ts'
import type { TlsClientConfig } from '../config/config.ts'
import type { ReadBuffers } from '../http/body/read-buffer.ts'
import { ConnectionPool } from './connection/pool.ts'
import { TargetQueue } from './queue.ts'

/** Everything that a connection depends on. Targets with equal values share their connections. */
export interface TargetConfig {
  /** Scheme, host and port, such as http://10.0.0.5:3000, or unix:/path. */
  readonly url: string
  readonly connectTimeoutMs: number
  readonly idleMs: number
  readonly maxAgeMs: number
  readonly tls: TlsClientConfig
}

export interface TargetDeps {
  readonly lookup: LookupFunction
  readonly clock: Clock
  readonly buffers: ReadBuffers
}

export interface Target {
  /** Never reaches a client. */
  readonly origin: URL
  /** host:port of the origin, or the path of a Unix socket. */
  readonly host: string
  readonly config: TargetConfig
  readonly pool: ConnectionPool
  /** Running requests and WebSockets. */
  inFlight: number
  readonly queue: TargetQueue
  /** Other targets are preferred until then (monotonic milliseconds), since this one refused a
   *  connection. */
  avoidUntil: number
}

export function createTarget(config: TargetConfig, deps: TargetDeps): Target {
  const { url, ...options } = config
  const origin = new URL(url)
  const pool = new ConnectionPool({ ...options, ...deps, origin })
  const host = origin.protocol === 'unix:' ? origin.pathname : origin.host
  return { origin, host, config, pool, inFlight: 0, queue: new TargetQueue(), avoidUntil: 0 }
}
