/** The targets in use, across reloads: a target lives as long as a configuration refers to it
 *  and keeps its connections and state while configurations change. */
import type { LookupFunction } from 'node:net'
import type { Clock } from '../clock.ts'
import { createReadBuffers } from '../http/body/read-buffer.ts'
import { createTarget, type Target, type TargetConfig } from './target.ts'

export interface Pools {
  /** Returns the target with this configuration, new or in use. Each call needs a `release`. */
  acquire(config: TargetConfig): Target
  /** The last release closes the connections after the running requests. */
  release(target: Target): void
  /** Breaks off running requests. */
  close(): void
}

export interface PoolsDeps {
  /** Resolves the names of targets. */
  readonly lookup: LookupFunction
  readonly clock: Clock
}

export function createPools({ lookup, clock }: PoolsDeps): Pools {
  const deps = { lookup, clock, buffers: createReadBuffers() }
  const entries = new Map<string, { readonly target: Target; users: number }>()

  return {
    acquire(config) {
      const key = keyOf(config)
      const entry = entries.get(key) ?? { target: createTarget(config, deps), users: 0 }
      entry.users++
      entries.set(key, entry)
      return entry.target
    },
    release(target) {
      const key = keyOf(target.config)
      const entry = entries.get(key)
      if (entry?.target !== target) return
      entry.users--
      if (entry.users > 0) return
      entries.delete(key)
      target.pool.close()
    },
    close() {
      const targets = [...entries.values()].map((entry) => entry.target)
      entries.clear()
      for (const target of targets) target.pool.destroy()
    }
  }
}

function keyOf({ url, connectTimeoutMs, idleMs, maxAgeMs, tls }: TargetConfig): string {
  const { ca, cert, key, serverName, insecureSkipVerify } = tls
  return JSON.stringify([url, connectTimeoutMs, idleMs, maxAgeMs, ca, cert, key, serverName, insecureSkipVerify])
}
