/** Explains a request with the parts of a gateway that never listens. */
import type { Clock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { createGeneration, namesOfRoutes } from '../gateway/generation.ts'
import { createShared } from '../gateway/shared.ts'
import { createHeaderNames } from '../http/headers/header-names.ts'
import type { ExplainedRequest } from '../proxy/explain/explained-request.ts'
import { type ExplainDeps, type Explanation, explainRequest } from '../proxy/explain/explanation.ts'
import { createMemoryStore } from '../store/memory.ts'
import { createLog } from '../telemetry/log.ts'
import { version } from './version.ts'

export interface OfflineOptions extends Pick<ExplainDeps, 'placeOf' | 'isSecretKnown'> {
  readonly clock: Clock
}

/** Keeps its state in memory and sends nothing. */
export async function explainOffline(
  config: GatewayConfig,
  request: ExplainedRequest,
  { clock, placeOf, isSecretKnown }: OfflineOptions
): Promise<Explanation> {
  const log = createLog({ level: 'silent' }, { write() {} })
  const store = createMemoryStore({ clock, log })
  const wechatUrl = config.wechat.apiBase === 'sandbox' ? 'http://sandbox.invalid' : config.wechat.apiBase
  const dependencies = { store, clock, log, accessLog: { finished() {} }, version: version(), wechatUrl }
  const shared = createShared(config, dependencies)
  await shared.revocations.start()
  const generation = await createGeneration(config, shared)
  const names = createHeaderNames(namesOfRoutes(config.routes))
  try {
    const { proxy } = generation
    return explainRequest({ config, proxy, names, placeOf, isSecretKnown, knowsSessions: false }, request)
  } finally {
    shared.revocations.stop()
    await generation.close()
    await store.close()
  }
}
