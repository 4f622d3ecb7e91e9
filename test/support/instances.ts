/** Several gateways over one store and one sandbox, as on several machines, with the store
 *  calls of each counted. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, t as tap, test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import { createSandbox, type Sandbox } from '../../src/sandbox/server.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { openStore } from '../../src/store/open.ts'
import type { Store } from '../../src/store/port.ts'
import { createTestClock, type TestClock } from './clock.ts'
import {
  APP_SECRET,
  APPID,
  buildTestGateway,
  OTHER_APPID,
  type TestGateway,
  type TestGatewayOptions
} from './gateway.ts'
import { type RedisServer, startRedis } from './redis.ts'
import { quietLog } from './store.ts'
import { PATIENCE, until } from './until.ts'
import { startUpstream, type TestUpstream } from './upstream.ts'

export const BACKENDS = ['memory', 'sqlite', 'redis'] as const
export type BackendKind = (typeof BACKENDS)[number]

export interface Backend {
  readonly kind: BackendKind
  /** Opens the same records again, as another process would; closed with the test. */
  open(t: Test, clock: Clock): Promise<Store>
  /** Other records, same server. */
  fresh(): Backend
  readonly redis: RedisServer | null
  /** Path of the SQLite file. */
  readonly file: string | null
  /** As in gateway.yaml. */
  readonly url: string
}

/** Null without redis-server. */
export async function startBackend(t: Test, kind: BackendKind, ...redisArgs: string[]): Promise<Backend | null> {
  const redis = kind === 'redis' ? await startRedis(t, ...redisArgs) : null
  if (kind === 'redis' && !redis) return null
  let folder: string | undefined
  if (kind === 'sqlite') {
    folder = mkdtempSync(join(tmpdir(), 'wxgate-'))
    t.teardown(() => rmSync(folder ?? '', { recursive: true, force: true }))
  }
  let count = 0
  const make = (): Backend => {
    const number = count++
    const file = folder === undefined ? null : join(folder, `store-${number}.db`)
    const url = redis ? `${redis.url}?prefix=test${number}:` : file === null ? 'memory:' : `sqlite:${file}`
    let shared: Store | undefined
    return {
      kind,
      url,
      file,
      redis,
      fresh: make,
      async open(user, clock) {
        const log = quietLog()
        // Memory can only be shared as one object.
        if (kind === 'memory') {
          shared ??= createMemoryStore({ clock, log })
          return shared
        }
        // No rule depends on the deadline of Redis, and a busy machine may miss the default.
        const store = await openStore(url, { clock, log, ...(redis ? { timeout: PATIENCE } : {}) })
        user.teardown(() => store.close())
        return store
      }
    }
  }
  return make()
}

/** Calls of a store, except those that follow the feed, by name of the operation. */
export interface StoreCalls {
  readonly total: number
  readonly byName: Readonly<Record<string, number>>
}

/** Runs before the store receives a call; a throw is the call's result. */
export interface Interception {
  before: ((operation: string, key: string) => unknown) | null
}

export function watchCalls(store: Store, interception: Interception = { before: null }) {
  const byName: Record<string, number> = {}
  const watched = Object.fromEntries(
    Object.entries(store).map(([name, member]) => {
      if (typeof member !== 'function') return [name, member]
      const operation = member as (...args: unknown[]) => unknown
      return [
        name,
        async (...args: unknown[]) => {
          byName[name] = (byName[name] ?? 0) + 1
          await interception.before?.(name, String(args[0]))
          return operation(...args)
        }
      ]
    })
  )
  const calls = {
    byName,
    get total() {
      return Object.entries(byName).reduce((sum, [name, count]) => (name === 'readFeed' ? sum : sum + count), 0)
    }
  }
  return { store: watched as unknown as Store, calls: calls as StoreCalls }
}

export interface Instance extends TestGateway {
  readonly calls: StoreCalls
}

export interface Group {
  readonly a: Instance
  readonly b: Instance
  readonly sandbox: Sandbox
  readonly upstream: TestUpstream
  readonly backend: Backend
  readonly clock: TestClock
  /** Applies to the calls of all instances. */
  readonly interception: Interception
  /** One more instance on the same records. */
  add(options?: TestGatewayOptions): Promise<Instance>
}

/** Two instances with two mini-programs, on records of their own and a clock that is moved by
 *  hand. Redis keeps its own. */
export async function startGroup(t: Test, from: Backend): Promise<Group> {
  const clock = createTestClock()
  const backend = from.fresh()
  const upstream = await startUpstream(t)
  const sandbox = createSandbox({ clock: systemClock })
  const { url } = await sandbox.listen(0, '127.0.0.1')
  t.teardown(() => sandbox.close())
  const apps = [APPID, OTHER_APPID].map((appid) => ({ appid, secret: APP_SECRET }))
  const base = { wechat: { apiBase: url, timeout: '60s' }, apps }
  const interception: Interception = { before: null }

  async function add(more: TestGatewayOptions = {}): Promise<Instance> {
    const { store, calls } = watchCalls(await backend.open(t, clock), interception)
    const config = { ...base, ...more.config }
    const gateway = await buildTestGateway(t, upstream.url, { clock, sandbox, store, ...more, config })
    return { ...gateway, calls }
  }
  return { a: await add(), b: await add(), sandbox, upstream, backend, clock, interception, add }
}

export type Rule = (t: Test, group: Group) => Promise<void>

/** Runs each rule over each kind of store in parallel. Rules share two instances and a clock,
 *  so each needs its own users. */
export function overEveryBackend(rules: Readonly<Record<string, Rule>>): void {
  tap.jobs = BACKENDS.length
  for (const kind of BACKENDS) {
    test(`over ${kind}`, { buffered: true }, async (t) => {
      const backend = await startBackend(t, kind)
      if (!backend) return
      const group = await startGroup(t, backend)
      for (const [title, rule] of Object.entries(rules)) await t.test(`${kind}: ${title}`, (own) => rule(own, group))
    })
  }
}

let codes = 0

/** A login with a new code, as from a phone. */
export const enter = (instance: TestGateway, name: string, appid = APPID) =>
  instance.login(`sandbox-${name}-${++codes}`, appid)

export const logout = async (instance: TestGateway, token: string, body: object = {}) =>
  (await post(instance, '/auth/logout', body, token)).status

/** POST with a JSON body; the status, and the body as text and as JSON. */
export async function post(gateway: TestGateway, path: string, body: unknown, token?: string): Promise<Answer> {
  const init = { method: 'POST', body: JSON.stringify(body), ...(token === undefined ? {} : { token }) }
  return read(await gateway.call(path, init))
}

export interface Answer {
  readonly status: number
  readonly text: string
  /** The code of an error; empty for a success. */
  readonly code: string
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly refresh_expires_in: number
  readonly user?: { readonly id: string; readonly is_new: boolean; readonly status: string }
}

export async function read(response: Response): Promise<Answer> {
  const text = await response.text()
  const json = (text.startsWith('{') ? JSON.parse(text) : {}) as Partial<Answer>
  return {
    code: '',
    access_token: '',
    refresh_token: '',
    expires_in: 0,
    refresh_expires_in: 0,
    ...json,
    status: response.status,
    text
  }
}

export const refresh = (gateway: TestGateway, refresh_token: string): Promise<Answer> =>
  post(gateway, '/auth/refresh', { refresh_token })

/** The gateway's verdict on a token: `200`, or the code of the error. */
export async function verdict(gateway: TestGateway, token: string): Promise<string> {
  const answer = await read(await gateway.call('/api', { token }))
  return answer.code === '' ? String(answer.status) : answer.code
}

/** Resolves when the instance has applied a reading of the feed that it began after this call. */
export async function nextReading({ calls }: { readonly calls: StoreCalls }): Promise<void> {
  const readings = () => calls.byName.readFeed ?? 0
  const before = readings()
  await until(() => readings() >= before + 2)
}
