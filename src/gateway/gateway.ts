/** A running gateway: its listeners, the configuration in force, how it starts and ends. */
import type { GatewayConfig } from '../config/config.ts'
import { createListener } from '../http/server.ts'
import { createServiceListener } from '../service/listener.ts'
import { createLasting, createStage, type GatewayDependencies, type Stage } from './generation.ts'
import type { Parts } from './parts.ts'

export interface Gateway {
  readonly parts: Parts
  /** Opens both listeners; resolves when they accept connections. Readiness follows when the store has been read. */
  listen(): Promise<{ edge: Address; service: Address }>
  /** Resolves when the first whole reading of the store is done, however long that takes. */
  ready(): Promise<void>
  /** Says "not ready" and goes on serving; then, after `delay`, takes no more and finishes what is under way. */
  drain(): Promise<void>
  /** Takes another configuration over, whole or not at all. Throws {@link NeedsRestart} when it changes what only a start
   *  can. Requests under way end as they began. */
  reload(config: GatewayConfig): Promise<void>
  /** At once. */
  close(): Promise<void>
}

/** How long after a reload the connections of before stay at hand for requests that have not used them yet
 *  (milliseconds). */
const RETIRE_AFTER = 60_000

/** What a running gateway cannot change. */
export class NeedsRestart extends Error {
  readonly keys: readonly string[]
  constructor(keys: readonly string[]) {
    super(`${keys.join(', ')} can only be changed by a restart`)
    this.name = 'NeedsRestart'
    this.keys = keys
  }
}

export interface Address {
  readonly host: string
  readonly port: number
}

export async function buildGateway(first: GatewayConfig, dependencies: GatewayDependencies): Promise<Gateway> {
  const lasting = createLasting(first, dependencies)
  const { lifecycle, revocations } = lasting
  const { log } = dependencies
  let config = first
  let stage = await createStage(first, dependencies, lasting)
  const listener = createListener({ config, stage: stage.edge, lifecycle, parts: stage.parts })
  const serviceListener = createServiceListener(first.server.limits, stage.service)
  const retired = new Set<Stage>()
  let isClosed = false

  /** A request that began under it may still be reading its body or waiting for an answer of WeChat's. */
  function retire(old: Stage): void {
    retired.add(old)
    const timer = setTimeout(() => {
      retired.delete(old)
      void old.retire()
    }, RETIRE_AFTER)
    timer.unref()
  }

  async function closeAll(timeout: number): Promise<void> {
    if (isClosed) return
    isClosed = true
    const deadline = performance.now() + timeout
    await listener.close(timeout)
    // Last: what is under way on the edge may need it.
    await serviceListener.close(deadline - performance.now())
    revocations.stop()
    await Promise.all([stage, ...retired].map((one) => one.close()))
  }

  return {
    get parts() {
      return stage.parts
    },
    async listen() {
      const { server, service } = config
      const isShared = dependencies.isWorker ?? false
      return {
        edge: await listener.listen(server.host, server.port, isShared),
        service: await serviceListener.listen(service.host, service.port, isShared)
      }
    },
    async ready() {
      await revocations.start()
      lifecycle.isReady = true
    },
    async drain() {
      const { delay, timeout } = config.server.drain
      lifecycle.isDraining = true
      log.info({ delay, active: listener.active }, 'draining: not ready any more, still serving')
      await new Promise((resolve) => setTimeout(resolve, delay))
      await closeAll(timeout)
    },
    async reload(next) {
      const keys = restartOnly(config, next)
      if (keys.length > 0) throw new NeedsRestart(keys)
      const before = stage
      stage = await createStage(next, dependencies, lasting)
      config = next
      revocations.configure({ accessTtl: next.tokens.accessTtl, grace: next.sessions.storeGrace })
      listener.serve(stage.edge)
      serviceListener.serve(stage.service)
      retire(before)
    },
    close: () => closeAll(0)
  }
}

/** The keys that differ and cannot be changed while running. */
function restartOnly(before: GatewayConfig, after: GatewayConfig): string[] {
  const pick = ({ server, service, store, logging, wechat }: GatewayConfig): Record<string, unknown> => ({
    'server.host': server.host,
    'server.port': server.port,
    'server.workers': server.workers,
    'server.tls': server.tls,
    'server.limits': { ...server.limits, body: 0 },
    'service.host': service.host,
    'service.port': service.port,
    store,
    logging,
    'wechat.apiBase': wechat.apiBase
  })
  const [old, next] = [pick(before), pick(after)]
  return Object.keys(old).filter((key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]))
}
