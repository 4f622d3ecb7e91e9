/** Stores that version 0.1.0 wrote, see fixtures/store-0.1.0/make.mjs, and the tokens that it
 *  gave out. */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createKeyRing } from '../../src/crypto/key-ring.ts'
import { createRefreshTokens } from '../../src/identity/tokens/refresh-tokens.ts'
import { openStore } from '../../src/store/open.ts'
import { createTestClock, type TestClock } from './clock.ts'
import { SECRET } from './gateway.ts'
import { startRedis } from './redis.ts'
import { quietLog } from './store.ts'
import { PATIENCE } from './until.ts'

const FIXTURES = join(import.meta.dirname, 'fixtures', 'store-0.1.0')

export interface FormerLogin {
  readonly name: string
  readonly appid: string
  readonly openid: string
  readonly unionid: string
  /** User id. */
  readonly id: string
  readonly session: string
}

export interface FormerStore {
  readonly url: string
  /** One hour after 0.1.0 wrote the store. */
  readonly clock: TestClock
  /** In the order of the logins. */
  readonly logins: readonly FormerLogin[]
}

interface RedisDump {
  readonly records: readonly [string, string, number][]
  readonly feed: readonly [string, number][]
}

const read = <T>(name: string) => JSON.parse(readFileSync(join(FIXTURES, name), 'utf8')) as T

/** Null where redis-server is missing. */
export async function openFormerStore(t: Test, kind: 'sqlite' | 'redis'): Promise<FormerStore | null> {
  const { start, ...facts } = read<{ start: number; sqlite: FormerLogin[]; redis: FormerLogin[] }>('facts.json')
  const clock = createTestClock(start + 3_600_000)
  if (kind === 'sqlite') {
    const folder = mkdtempSync(join(tmpdir(), 'wxgate-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    copyFileSync(join(FIXTURES, 'store.db'), join(folder, 'store.db'))
    return { url: `sqlite:${join(folder, 'store.db')}`, clock, logins: facts.sqlite }
  }
  const redis = await startRedis(t)
  if (redis === null) return null
  const { records, feed } = read<RedisDump>('redis.json')
  const store = await openStore(redis.url, { clock, log: quietLog(), timeout: PATIENCE })
  for (const [key, value, ttl] of records) await store.set(key, value, ttl)
  for (const [value, ttl] of feed) await store.appendFeed(value, ttl)
  await store.close()
  return { url: redis.url, clock, logins: facts.redis }
}

/** The first refresh token of the session. */
export function refreshTokenOf({ session }: FormerLogin): string {
  return createRefreshTokens(createKeyRing([SECRET])).sign(session, 0)
}
