/** A real client against the real sandbox, over sockets, with a frozen clock and the log kept. */

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { lookup } from 'node:dns'
import { pino } from 'pino'
import { createWeChat, type WeChatClient } from '../../src/platforms/wechat/client.ts'
import type { TokenSealer } from '../../src/platforms/wechat/shared-token.ts'
import { createSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/server.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/port.ts'
import type { Log } from '../../src/telemetry/log.ts'
import { createTestClock, type TestClock } from './clock.ts'
import type { Teardown } from './listen.ts'

export const SHOP = { appId: 'wx1234567890abcdef', secret: 'canary-appsecret-0123456789' }

export function createTestLog(): { log: Log; lines: string[] } {
  const lines: string[] = []
  const log = pino({ level: 'trace', base: null }, { write: (line: string) => lines.push(line) })
  return { log, lines }
}

/** Seals as the gateway does, under a key of this process. */
export function createTestSealer(): TokenSealer {
  const key = randomBytes(32)
  return {
    seal(text, aad) {
      const iv = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(aad))
      return Buffer.concat([iv, cipher.update(text), cipher.final(), cipher.getAuthTag()]).toString('base64')
    },
    open(text, aad) {
      const bytes = Buffer.from(text, 'base64')
      if (bytes.length < 28) return null
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12)).setAAD(Buffer.from(aad))
        decipher.setAuthTag(bytes.subarray(-16))
        return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString()
      } catch {
        return null
      }
    }
  }
}

export interface Setup {
  readonly sandbox: Sandbox
  readonly url: string
  readonly clock: TestClock
  readonly store: Store
  readonly lines: string[]
  readonly wechat: WeChatClient
  /** Another instance on the same store. */
  another(options?: { store?: Store; sealToken?: TokenSealer }): WeChatClient
  callsOf(path: string): number
}

export async function buildWeChat(
  t: Teardown,
  options: Partial<SandboxOptions> & { timeout?: number; store?: Store; apiBase?: string } = {}
): Promise<Setup> {
  const { timeout = 60_000 } = options
  const clock = createTestClock(Date.UTC(2026, 10, 23))
  const { log, lines } = createTestLog()
  const sandbox = createSandbox({ clock, ...options })
  const { url } = await sandbox.listen(0)
  t.teardown(() => sandbox.close())
  const store = options.store ?? createMemoryStore({ clock, log })
  const sealer = createTestSealer()

  function another(own: { store?: Store; sealToken?: TokenSealer } = {}): WeChatClient {
    const apiBase = options.apiBase ?? url
    const client = createWeChat({
      apiBase,
      fallbackBase: null,
      proxy: null,
      timeout,
      lookup,
      store,
      clock,
      log,
      sealToken: sealer,
      ...own
    })
    t.teardown(() => client.close())
    return client
  }

  const callsOf = (path: string) => sandbox.state.calls.counts().byPath[path] ?? 0
  return { sandbox, url, clock, store, lines, wechat: another(), another, callsOf }
}
