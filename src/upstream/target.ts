/** One server of an upstream: its connection pool and the state that balancing reads. */
import { Pool } from 'undici'
import type { TlsClientConfig } from '../config/config.ts'

/** Bytes of a response head. A larger one is refused. */
export const MAX_RESPONSE_HEAD_BYTES = 64 * 1024

/** Everything that a connection depends on. Two targets that agree in it share their connections. */
export interface TargetConfig {
  /** Scheme, host and port, such as http://10.0.0.5:3000. */
  readonly url: string
  readonly connectTimeoutMs: number
  readonly tls: TlsClientConfig
}

export interface Target {
  /** Private: it never reaches a client. */
  readonly origin: URL
  readonly config: TargetConfig
  readonly pool: Pool
  /** Requests and WebSockets under way. */
  inFlight: number
  /** Other targets are preferred until then, in monotonic milliseconds: this one refused a connection. */
  avoidUntil: number
  /** Balance of the smooth weighted round robin. See balance.ts. */
  credit: number
}

export function createTarget(config: TargetConfig): Target {
  const origin = new URL(config.url)
  const pool = new Pool(origin.origin, {
    pipelining: 1,
    maxHeaderSize: MAX_RESPONSE_HEAD_BYTES,
    // The exchange times bodies: undici cannot tell an event stream from a body that got stuck.
    bodyTimeout: 0,
    connect: { timeout: config.connectTimeoutMs, ...tlsOptions(config.tls) }
  })
  return { origin, config, pool, inFlight: 0, avoidUntil: 0, credit: 0 }
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
