/** Keys of gateway.yaml that a running gateway cannot change. */
import { type GatewayConfig, storeWithoutCredentials } from '../config/config.ts'

/** A reload was refused: the keys are only read at the start. */
export class NeedsRestart extends Error {
  readonly keys: readonly string[]
  constructor(keys: readonly string[]) {
    super(`${keys.join(', ')} can only be changed by a restart`)
    this.name = 'NeedsRestart'
    this.keys = keys
  }
}

/** The changed keys that are only read at the start. */
export function restartOnly(before: GatewayConfig, after: GatewayConfig): string[] {
  const pick = ({
    server,
    service,
    sessions,
    store,
    logging,
    telemetry,
    wechat
  }: GatewayConfig): Record<string, unknown> => ({
    'server.host': server.host,
    'server.port': server.port,
    'server.workers': server.workers,
    'server.tls': server.tls !== null,
    'server.redirectHttp': server.redirectHttp,
    'server.fastLane': server.fastLane,
    'server.limits': { ...server.limits, body: 0 },
    'service.host': service.host,
    'service.port': service.port,
    'service.tls': service.tls !== null,
    'sessions.waitReplicas': sessions.waitReplicas,
    store: storeWithoutCredentials(store),
    logging,
    'telemetry.otlp': telemetry.otlp && { ...telemetry.otlp, sample: 0, headers: {} },
    'wechat.apiBase': wechat.apiBase
  })
  const [old, next] = [pick(before), pick(after)]
  return Object.keys(old).filter((key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]))
}
