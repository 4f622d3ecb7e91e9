/** The times at which long connections are ended. */
import { test } from 'tap'
import { ApiError, toApiError } from '../../src/errors.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { createLiveConnections, type EndReason, type LiveConnection } from '../../src/proxy/live-connections.ts'
import { createFakeClock } from '../support/clock.ts'

function setup() {
  const clock = createFakeClock()
  const revoked = new Set<string>()
  const revocations = { version: 0, isRevoked: ({ sessionId }: Principal) => revoked.has(sessionId) }
  const faults: unknown[] = []
  const guard = {
    toApiError(fault: unknown) {
      faults.push(fault)
      return toApiError(fault)
    }
  }
  const live = createLiveConnections({ clock, revocations, guard })
  const ended: [string, EndReason, number][] = []
  const open = (name: string, options: { expiresIn?: number; maxAgeMs?: number; isAnonymous?: boolean } = {}) => {
    const { expiresIn = 3_600_000, maxAgeMs = 0, isAnonymous = false } = options
    const principal = { sessionId: name, expiresAt: clock.now() + expiresIn } as Principal
    const connection: LiveConnection = {
      session: isAnonymous ? null : { principal, authorization: `Bearer ${name}` },
      maxAgeMs,
      end(reason) {
        live.remove(connection)
        ended.push([name, reason, clock.monotonic()])
      }
    }
    live.add(connection)
    return connection
  }
  const revoke = (name: string) => {
    revoked.add(name)
    revocations.version++
  }
  return { clock, live, ended, open, revoke, faults }
}

test('a drain ends connections one after the other, within most of its time', (t) => {
  for (const [count, timeoutMs, lastAt] of [
    [1, 30_000, 0],
    [5, 30_000, 200],
    [1_000, 10_000, 8_000]
  ] as const) {
    const { clock, live, ended, open } = setup()
    for (let index = 0; index < count; index++) open(String(index), { isAnonymous: true })
    live.drain(timeoutMs)
    clock.advance(timeoutMs)
    t.equal(ended.length, count)
    const last = ended.at(-1)?.[2] ?? -1
    t.ok(last >= lastAt * 0.9 && last <= lastAt, `${count}: ${last} ms`)
    const half = ended.filter(([, , at]) => at <= lastAt / 2).length
    if (count > 1) t.ok(half > count * 0.4 && half < count * 0.7, 'evenly')
  }
  t.end()
})

test('a drain of zero time ends all at once, also a connection that opens later', (t) => {
  const { live, ended, open } = setup()
  for (let index = 0; index < 10; index++) open(String(index))
  live.drain(0)
  t.equal(ended.length, 10)
  open('late')
  t.match(ended.at(-1), ['late', 'draining'])
  t.end()
})

test('a connection ends with its session, its token, or its age', (t) => {
  const { clock, ended, open, revoke } = setup()
  open('revoked')
  open('expired', { expiresIn: 10_000 })
  open('aged', { maxAgeMs: 20_000 })
  open('anonymous', { isAnonymous: true })
  revoke('revoked')
  clock.advance(400)
  t.match(ended, [['revoked', 'session_revoked']])
  clock.advance(10_000)
  t.match(ended[1], ['expired', 'token_expired'])
  clock.advance(10_000)
  t.match(ended[2], ['aged', 'max_age'])
  clock.advance(3_000_000)
  t.equal(ended.length, 3)
  t.end()
})

test('after a reload every token is judged once more, and only an invalid token ends its connection', (t) => {
  const { clock, live, ended, open } = setup()
  open('kept')
  open('removed')
  open('anonymous', { isAnonymous: true })
  let asked = 0
  live.use({
    authenticate(authorization) {
      asked++
      if (authorization === 'Bearer removed') return new ApiError('token_invalid', 'not ours')
      return new ApiError('store_unavailable', 'away')
    }
  })
  clock.advance(1_000)
  t.match(ended, [['removed', 'token_invalid']])
  t.equal(asked, 2)
  t.end()
})

test('no check runs while no connection is open', (t) => {
  const { clock, live, open } = setup()
  const connection = open('a')
  t.equal(clock.pending, 1)
  live.remove(connection)
  clock.advance(1_000)
  t.equal(clock.pending, 0)
  open('b')
  t.equal(clock.pending, 1)
  t.end()
})

test('a connection that cannot be ended keeps no other open', (t) => {
  const { clock, live, ended, open, revoke, faults } = setup()
  const broken = { session: null, maxAgeMs: 1_000, end: () => JSON.parse('{') }
  live.add(broken)
  open('alice')
  open('bob', { maxAgeMs: 1_000 })
  revoke('alice')
  clock.advance(2_000)
  t.same(ended.map(([name]) => name).sort(), ['alice', 'bob'])
  t.equal(faults.length, 1)
  t.end()
})
