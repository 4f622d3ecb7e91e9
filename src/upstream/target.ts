/** One server of an upstream: its connection pool and the state that balancing reads. */
import type { LookupFunction } from 'node:net'
import { buildConnector, Pool } from 'undici'
import type { TlsClientConfig } from '../config/config.ts'
import { TargetQueue } from './queue.ts'
import { filterResponses } from './response-filter.ts'

/** Bytes of a response head. A larger one is refused. */
export const MAX_RESPONSE_HEAD_BYTES = 64 * 1024

/** Everything that a connection depends on. Targets with equal values share their connections. */
export interface TargetConfig {
  /** Scheme, host and port, such as http://10.0.0.5:3000. */
  readonly url: string
  readonly connectTimeoutMs: number
  readonly tls: TlsClientConfig
}

export interface Target {
  /** Never reaches a client. */
  readonly origin: URL
  /** host:port of the origin. */
  readonly host: string
  readonly config: TargetConfig
  readonly pool: Pool
  /** Resolves the name of the origin. */
  readonly lookup: LookupFunction
  /** Running requests and WebSockets. */
  inFlight: number
  readonly queue: TargetQueue
  /** Other targets are preferred until then (monotonic milliseconds), since this one refused a
   *  connection. */
  avoidUntil: number
  /** Credit of the smooth weighted round robin, see balance.ts. */
  credit: number
}

export function createTarget(config: TargetConfig, lookup: LookupFunction): Target {
  const origin = new URL(config.url)
  const connect = buildConnector({ timeout: config.connectTimeoutMs, lookup, ...tlsOptions(config.tls) })
  const pool = new Pool(origin.origin, {
    pipelining: 1,
    maxHeaderSize: MAX_RESPONSE_HEAD_BYTES,
    // The exchange times bodies: undici cannot tell an event stream from a stalled body.
    bodyTimeout: 0,
    connect: (options, callback) =>
      connect(options, (...result) => {
        if (result[1]) filterResponses(result[1])
        callback(...result)
      })
  })
  const { host } = origin
  return { origin, host, config, pool, lookup, inFlight: 0, queue: new TargetQueue(), avoidUntil: 0, credit: 0 }
}

/** Options of `tls.connect`. Certificates are verified unless `insecureSkipVerify` is set. */
export function tlsOptions(tls: TlsClientConfig) {
  return {
    rejectUnauthorized: !tls.insecureSkipVerify,
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.cert === null ? {} : { cert: tls.cert }),
    ...(tls.key === null ? {} : { key: tls.key }),
    ...(tls.serverName === null ? {} : { servername: tls.serverName })
  }
}
