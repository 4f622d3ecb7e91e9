/** Upstreams: named groups of targets, each with its own connection pool. */
import { Pool } from 'undici'
import type { TlsClientConfig, UpstreamConfig } from '../config/config.ts'

/** After a refused connection the others are preferred for this long (milliseconds). */
const AVOID_FOR = 2_000
/** A response head larger than this is not one we pass on. */
const MAX_RESPONSE_HEAD = 64 * 1024

export interface Target {
  /** Scheme and authority. For our own use; it never reaches a client. */
  readonly origin: URL
  readonly weight: number
  readonly pool: Pool
  /** Requests under way. */
  inFlight: number
  /** Refused a connection lately: until when others are preferred, milliseconds of `performance.now()`. */
  avoidUntil: number
  /** Smooth weighted round robin: see pickRoundRobin. */
  credit: number
}

export interface Upstream {
  readonly name: string
  readonly config: UpstreamConfig
  /** @param key What `hash` keeps together; `tried` are left out while there are others. */
  pick(key: string | null, tried: readonly Target[] | null): Target | null
  readonly targets: readonly Target[]
}

export interface Upstreams {
  get(name: string): Upstream
  /** Breaks off what is under way. */
  close(): Promise<void>
  /** Lets what is under way end first. */
  retire(): Promise<void>
}

export function createUpstreams(configs: readonly UpstreamConfig[]): Upstreams {
  const byName = new Map(configs.map((config) => [config.name, createUpstream(config)]))
  const pools = [...byName.values()].flatMap((upstream) => upstream.targets.map((target) => target.pool))
  return {
    get(name) {
      const upstream = byName.get(name)
      if (!upstream) throw new Error(`no upstream is called ${name}`)
      return upstream
    },
    async close() {
      await Promise.allSettled(pools.map((pool) => pool.destroy()))
    },
    async retire() {
      await Promise.allSettled(pools.map((pool) => pool.close()))
    }
  }
}

function createUpstream(config: UpstreamConfig): Upstream {
  const targets = config.targets.map(({ url, weight }) => createTarget(new URL(url), weight, config))
  const [only] = targets
  const choose = { roundRobin: pickRoundRobin, leastRequests: pickLeastRequests, hash: pickByHash }[config.balance]
  return {
    name: config.name,
    config,
    targets,
    pick(key, tried) {
      if (targets.length === 1 && tried === null) return only ?? null
      const untried = tried === null ? targets : targets.filter((target) => !tried.includes(target))
      const now = performance.now()
      const healthy = untried.filter((target) => target.avoidUntil <= now)
      const candidates = healthy.length > 0 ? healthy : untried
      return candidates.length === 0 ? null : choose(candidates, key)
    }
  }
}

function createTarget(origin: URL, weight: number, config: UpstreamConfig): Target {
  const pool = new Pool(origin.origin, {
    pipelining: 1,
    maxHeaderSize: MAX_RESPONSE_HEAD,
    headersTimeout: config.timeouts.response,
    // The exchange keeps this time itself: undici's clock cannot tell an event stream from a body that got stuck.
    bodyTimeout: 0,
    connect: { timeout: config.timeouts.connect, ...tlsOptions(config.tls) }
  })
  return { origin, weight, pool, inFlight: 0, avoidUntil: 0, credit: 0 }
}

/** Certificates are verified unless the configuration says otherwise in so many words. */
export function tlsOptions(tls: TlsClientConfig) {
  return {
    rejectUnauthorized: !tls.insecureSkipVerify,
    ...(tls.ca === null ? {} : { ca: tls.ca }),
    ...(tls.cert === null ? {} : { cert: tls.cert }),
    ...(tls.key === null ? {} : { key: tls.key }),
    ...(tls.serverName === null ? {} : { servername: tls.serverName })
  }
}

export function avoid(target: Target): void {
  target.avoidUntil = performance.now() + AVOID_FOR
}

/** Everyone gains credit by weight, the richest is picked and pays the sum: nginx's smooth weighted round robin. */
function pickRoundRobin(targets: readonly Target[]): Target | null {
  let total = 0
  let best: Target | null = null
  for (const target of targets) {
    target.credit += target.weight
    total += target.weight
    if (best === null || target.credit > best.credit) best = target
  }
  if (best) best.credit -= total
  return best
}

function pickLeastRequests(targets: readonly Target[]): Target | null {
  let least: Target[] = []
  for (const target of targets) {
    const load = target.inFlight / target.weight
    const best = least[0]
    const bestLoad = best ? best.inFlight / best.weight : Number.POSITIVE_INFINITY
    if (load < bestLoad) least = [target]
    else if (load === bestLoad) least.push(target)
  }
  return pickRoundRobin(least)
}

/** Rendezvous hashing: a target that leaves moves only its own keys. Without a key the load is spread evenly. */
function pickByHash(targets: readonly Target[], key: string | null): Target | null {
  if (key === null) return pickRoundRobin(targets)
  let best: Target | null = null
  let bestScore = Number.NEGATIVE_INFINITY
  for (const target of targets) {
    const score = -target.weight / Math.log((fnv1a(`${key}|${target.origin.host}`) + 1) / 0x1_0000_0001)
    if (score > bestScore) {
      best = target
      bestScore = score
    }
  }
  return best
}

/** FNV-1a with a final mix, 32 bits. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
