/** A running gateway: its listeners, the current configuration, reload, drain and close. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Timer } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { createFastLane } from '../fast-lane/fast-lane.ts'
import { descriptorLimit, divideDescriptors } from '../http/connection-room.ts'
import { createGatewayServer } from '../http/server.ts'
import { loadTls, type TlsFiles } from '../http/tls-files.ts'
import type { Tracing } from '../http/tracing.ts'
import type { Log } from '../telemetry/log.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Otlp } from '../telemetry/otlp/otlp.ts'
import { startDeliveries } from './deliveries.ts'
import { createGeneration, type Generation, type Parts } from './generation.ts'
import { createRedirectListener } from './redirect-parts.ts'
import { NeedsRestart, restartOnly } from './restart-only.ts'
import { createShared, type GatewayDependencies, type Shared } from './shared.ts'
import type { InForce, ListenerAddresses } from './status-parts.ts'

export interface Gateway {
  readonly parts: Parts
  /** Running requests and upgraded connections of the edge. */
  readonly active: number
  /** Opens both listeners; resolves when they accept connections. The gateway is ready once the
   *  store has been read. */
  listen(): Promise<ListenerAddresses>
  /** Resolves when the store was read completely for the first time, however long that takes. */
  ready(): Promise<void>
  /** Reports "not ready" and goes on serving; after `server.drain.delay`, takes no more
   *  connections and finishes running requests. */
  drain(): Promise<void>
  /** Applies another configuration completely or not at all; unchanged parts go on. Throws
   *  {@link NeedsRestart} for a changed key that is only read at the start. Running requests end
   *  under the configuration they started with. */
  reload(config: GatewayConfig): Promise<void>
  /** Closes at once. */
  close(): Promise<void>
}

/** Milliseconds to the last byte of a request on the service listener, which also takes uploads
 *  for WeChat. */
const SERVICE_REQUEST_TIMEOUT = 120_000

/** Milliseconds from listening to the work that no ordinary request waits for: it would delay the
 *  first answers. */
const BACKGROUND_DELAY = 500

export async function buildGateway(first: GatewayConfig, dependencies: GatewayDependencies): Promise<Gateway> {
  const tracing = await openTracing(first, dependencies.otlp ?? null)
  const shared = createShared(first, dependencies, tracing)
  const { lifecycle, revocations, guard, metrics, log, live, members, appChecks } = shared
  const { limits } = first.server
  const edgeTls = createTls(first.server.tls, 'edge', shared)
  const serviceTls = createTls(first.service.tls, 'service', shared)
  let config = first
  let generation = await createGeneration(first, shared)
  shared.nowInForce(inForceOf(generation))
  const retired = new Set<Promise<void>>()
  revocations.mendWith((end) => generation.mend(end))
  let isClosed = false
  const descriptors = descriptorLimit()

  const onProxyHeaderRefused = reportProxyHeaders(log, metrics)
  const edge = createGatewayServer({
    limits,
    requestTimeout: 0,
    tls: edgeTls,
    handler: generation.edge,
    guard,
    ...(Number.isFinite(descriptors) ? { room: divideDescriptors(descriptors) } : {}),
    onSurplus: throttled(() =>
      log.warn({ descriptors }, 'client connections are refused: too few descriptors (ulimit -n)')
    ),
    onProxyHeaderRefused,
    onParseError: metrics.parseErrorAnswered,
    createLane: first.server.fastLane ? createFastLane({ clock: shared.clock, onRequest: metrics.fastRequest }) : null,
    onGeneralRequest: metrics.generalRequest
  })
  // Backends share an address and keep many connections.
  const service = createGatewayServer({
    limits: { ...limits, connectionsPerPeer: Number.POSITIVE_INFINITY },
    requestTimeout: SERVICE_REQUEST_TIMEOUT,
    tls: serviceTls,
    handler: generation.service,
    guard,
    onParseError() {},
    createLane: first.server.fastLane ? createFastLane({ clock: shared.clock, onRequest() {} }) : null,
    onGeneralRequest() {}
  })

  const redirect = createRedirectListener(first.server, {
    edge: generation.edge,
    tls: edgeTls,
    guard,
    onProxyHeaderRefused,
    onParseError: metrics.parseErrorAnswered
  })

  let background: Timer | undefined

  function startBackground(): void {
    shared.startDone()
    generation.loadRest().catch((error) => log.error({ err: error }, 'a part of the gateway could not be loaded'))
  }

  async function closeAll(timeoutMs: number): Promise<void> {
    if (isClosed) return
    isClosed = true
    shared.clock.clearTimeout(background)
    const deadline = performance.now() + timeoutMs
    const delivered = Promise.all(generation.deliveries.map((delivery) => delivery.stop()))
    live.drain(timeoutMs)
    await Promise.all([edge.close(timeoutMs), redirect?.close(timeoutMs)])
    // Closed last: requests on the edge may need it.
    await service.close(Math.max(0, deadline - performance.now()))
    await Promise.race([delivered, sleep(Math.max(0, deadline - performance.now()), null, { ref: false })])
    revocations.stop()
    appChecks.stop()
    await Promise.all([generation.close(), ...retired])
  }

  return {
    get parts() {
      return generation.parts
    },
    get active() {
      return edge.active
    },
    async listen() {
      const isShared = dependencies.isWorker ?? false
      const addresses = {
        edge: await edge.listen(config.server.host, config.server.port, isShared),
        ...(redirect === null ? {} : { redirect: await redirect.listen(isShared) }),
        service: await service.listen(config.service.host, config.service.port, isShared)
      }
      shared.listening(addresses, { edge: edgeTls, service: serviceTls })
      appChecks.use(config.apps)
      members.start()
      startDeliveries(generation.deliveries)
      background = shared.clock.setTimeout(startBackground, BACKGROUND_DELAY)
      background.unref()
      return addresses
    },
    async ready() {
      await revocations.start()
      lifecycle.isReady = true
    },
    async drain() {
      const { delay, timeout } = config.server.drain
      lifecycle.isDraining = true
      log.info({ delay, active: edge.active }, 'draining: not ready any more, still serving')
      await sleep(delay)
      await closeAll(timeout)
    },
    async reload(next) {
      const keys = restartOnly(config, next)
      if (keys.length > 0) throw new NeedsRestart(keys)
      const useCertificates = [edgeTls?.prepare(next.server.tls ?? []), serviceTls?.prepare(next.service.tls ?? [])]
      const before = generation
      generation = await createGeneration(next, shared)
      for (const use of useCertificates) use?.()
      config = next
      shared.nowInForce(inForceOf(generation))
      metrics.configured(next)
      shared.probeWith(next)
      if (next.telemetry.otlp !== null) {
        tracing?.sample(next.telemetry.otlp.sample)
        dependencies.otlp?.useHeaders(next.telemetry.otlp.headers)
      }
      appChecks.use(next.apps)
      revocations.configure({ accessTtl: next.tokens.accessTtl, grace: next.sessions.storeGrace })
      live.use(generation.authenticator)
      edge.use(generation.edge)
      redirect?.use(generation.edge)
      service.use(generation.service)
      startDeliveries(generation.deliveries, before.deliveries)
      const ended = before.retire().finally(() => retired.delete(ended))
      retired.add(ended)
    },
    close: () => closeAll(0)
  }
}

/** Its code is loaded only where a collector is configured. */
async function openTracing({ telemetry }: GatewayConfig, otlp: Otlp | null): Promise<Tracing | null> {
  if (otlp === null || telemetry.otlp === null) return null
  const { createTracing } = await import('../http/tracing.ts')
  const tracing = createTracing(otlp.spans, telemetry.otlp.sample)
  otlp.followTraces(tracing.current)
  return tracing
}

function inForceOf({ parts: { config, platforms }, explain }: Generation): InForce {
  return { config, platforms, explain }
}

function createTls(
  pairs: GatewayConfig['server']['tls'],
  listener: 'edge' | 'service',
  { log, metrics }: Pick<Shared, 'log' | 'metrics'>
): TlsFiles | null {
  return pairs && loadTls(pairs, log, (certificates) => metrics.certificatesUsed(listener, certificates))
}

/** Milliseconds between two log lines about refused connections. */
const REPORT_INTERVAL = 10_000

/** Counts connections that were closed for their PROXY header, and logs some. */
function reportProxyHeaders(log: Pick<Log, 'warn'>, metrics: Pick<Metrics, 'proxyHeaderRefused'>) {
  let newest = ''
  const warn = throttled(() =>
    log.warn({ peer: newest }, 'a peer in server.proxyProtocol sent no valid PROXY header: its connection was closed')
  )
  return (peer: string) => {
    newest = peer
    metrics.proxyHeaderRefused()
    warn()
  }
}

/** Calls `report` at most once in {@link REPORT_INTERVAL}. */
function throttled(report: () => void): () => void {
  let next = 0
  return () => {
    if (performance.now() < next) return
    next = performance.now() + REPORT_INTERVAL
    report()
  }
}
