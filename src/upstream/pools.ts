/** The targets in use, across reloads: a target lives as long as a configuration refers to it
 *  and keeps its connections and state while configurations change. */
import type { LookupFunction } from 'node:net'
import { createTarget, type Target, type TargetConfig } from './target.ts'

export interface Pools {
  /** Returns the target with this configuration, new or in use. Each call needs a `release`. */
  acquire(config: TargetConfig): Target
  /** The last release closes the connections after the running requests. */
  release(target: Target): void
  /** Breaks off running requests. */
  close(): Promise<void>
}

export function createPools({ lookup }: { readonly lookup: LookupFunction }): Pools {
  const entries = new Map<string, { readonly target: Target; users: number }>()

  return {
    acquire(config) {
      const key = keyOf(config)
      const entry = entries.get(key) ?? { target: createTarget(config, lookup), users: 0 }
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
      void target.pool.close()
    },
    async close() {
      const targets = [...entries.values()].map((entry) => entry.target)
      entries.clear()
      await Promise.allSettled(targets.map((target) => target.pool.destroy()))
    }
  }
}

function keyOf({ url, connectTimeoutMs, tls }: TargetConfig): string {
  return JSON.stringify([url, connectTimeoutMs, tls.ca, tls.cert, tls.key, tls.serverName, tls.insecureSkipVerify])
}
