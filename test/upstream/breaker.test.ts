/** Circuit breaker, ejection, limits of an upstream and the budget of its retries. */
import { test } from 'tap'
import { ApiError } from '../../src/errors.ts'
import { Lease } from '../../src/upstream/attempts.ts'
import { Breaker } from '../../src/upstream/breaker.ts'
import { UPSTREAM_TIMEOUT } from '../../src/upstream/failures.ts'
import type { LeaseSource } from '../../src/upstream/lease-source.ts'
import { TargetState } from '../../src/upstream/target-state.ts'
import { UpstreamUsage } from '../../src/upstream/upstream-usage.ts'
import { createFakeClock } from '../support/clock.ts'
import { fakeMembers, firstOf } from '../support/targets.ts'

const policy = { failureRate: 0.5, minRequests: 4, window: 10_000, openFor: 5_000 }
const outliers = { failures: 3, ejectFor: 10_000, maxEjected: 0.5 }

function openBreaker() {
  const changes: string[] = []
  const breaker = new Breaker(policy, (phase) => changes.push(phase))
  for (let count = 0; count < 4; count++) breaker.ended(count > 1, 0)
  return { breaker, changes }
}

test('a breaker opens at its failure rate, and not before minRequests', (t) => {
  const breaker = new Breaker(policy, () => {})
  for (let count = 0; count < 3; count++) breaker.ended(true, 0)
  t.equal(breaker.phase(0), 'closed')
  breaker.ended(true, 0)
  t.equal(breaker.phase(0), 'open')
  t.equal(breaker.allows(4_999), false)
  const mild = new Breaker(policy, () => {})
  for (let count = 0; count < 99; count++) mild.ended(count % 3 === 2, 0)
  t.equal(mild.phase(0), 'closed', 'a third is less than half')
  t.end()
})

test('a breaker forgets what is older than its window', (t) => {
  const breaker = new Breaker(policy, () => {})
  for (let count = 0; count < 3; count++) breaker.ended(true, 500)
  breaker.ended(true, 10_500)
  t.equal(breaker.phase(10_500), 'closed')
  for (let count = 0; count < 3; count++) breaker.ended(true, 19_000)
  t.equal(breaker.phase(19_000), 'open', 'four failures within ten seconds')
  const long = new Breaker(policy, () => {})
  for (let count = 0; count < 3; count++) long.ended(true, 0)
  long.ended(true, 5_000_000)
  t.equal(long.phase(5_000_000), 'closed')
  t.end()
})

test('a breaker lets one trial through at a time, and closes when it succeeds', (t) => {
  const { breaker, changes } = openBreaker()
  t.equal(breaker.allows(5_000), true)
  t.equal(breaker.phase(5_000), 'halfOpen')
  t.equal(breaker.begin(), true)
  t.equal(breaker.allows(5_000), false, 'one trial')
  breaker.ended(false, 5_000)
  t.equal(breaker.phase(5_000), 'halfOpen', 'a request from before proves nothing')
  breaker.trialEnded(null, 5_000)
  t.equal(breaker.allows(5_000), true, 'the client of the trial left')
  breaker.begin()
  breaker.trialEnded(true, 6_000)
  t.equal(breaker.phase(10_999), 'open')
  t.equal(breaker.allows(11_000), true)
  breaker.begin()
  breaker.trialEnded(false, 11_000)
  t.equal(breaker.phase(11_000), 'closed')
  t.equal(breaker.begin(), false)
  breaker.ended(true, 11_000)
  t.equal(breaker.phase(11_000), 'closed', 'the window starts anew')
  t.same(changes, ['open', 'closed'])
  t.end()
})

test('an ejection follows failures in a row, and grows while they go on', (t) => {
  const state = new TargetState()
  const fail = (now: number) => state.failed(outliers, now)
  t.same([fail(0), fail(0)], [0, 0])
  state.succeeded()
  t.same([fail(0), fail(0), fail(0)], [0, 0, 10_000])
  t.equal(state.isEjected(9_999), true)
  t.equal(fail(1), 0, 'a request that started before counts no more')
  t.equal(state.isEjected(10_000), false)
  let now = 10_000
  const lengths: number[] = []
  for (let count = 0; count < 12; count++) {
    fail(now)
    fail(now)
    const ms = fail(now)
    lengths.push(ms)
    now += ms
  }
  t.same(lengths.slice(0, 3), [20_000, 30_000, 40_000])
  t.equal(lengths.at(-1), 100_000, 'ten times at most')
  now += 100_000
  t.same([fail(now), fail(now), fail(now)], [0, 0, 10_000], 'a good time as long as the last ejection')
  t.end()
})

function setup(options: Partial<LeaseSource> & { targets?: number; breakers?: boolean; deadlineAt?: number } = {}) {
  const { targets = 2, breakers = false, deadlineAt = Number.POSITIVE_INFINITY, ...source } = options
  const connections = options.connections ?? { max: 1_000, queue: { max: 1_000, timeout: 1_000 } }
  const clock = createFakeClock()
  const members = fakeMembers(targets, () => (breakers ? { breaker: new Breaker(policy, () => {}) } : {}))
  const usage = new UpstreamUsage()
  const ejected: number[] = []
  const full: LeaseSource = {
    selection: firstOf(members, connections.max),
    usage,
    connections,
    outliers,
    retries: { attempts: 1, budget: 0.2, on: ['connect', 'reset', '503'] },
    limits: { maxInFlight: 10_000, maxPending: 10_000 },
    clock,
    onEjected: (member) => ejected.push(members.indexOf(member)),
    ...source
  }
  const lease = (method = 'GET') => new Lease(full, { key: null, method, isReplayable: method === 'GET', deadlineAt })
  const fail = (error: unknown) => {
    const one = lease('POST')
    one.next()
    one.failed(error, true)
  }
  const answer = (status: number) => {
    const one = lease('POST')
    one.next()
    one.answered(status)
    one.done()
  }
  return { clock, members, usage, ejected, lease, fail, answer }
}

const coded = (code: string) => Object.assign(new Error(code), { code })

test('502, 503, 504, timeouts, resets and invalid responses count against a target', (t) => {
  const { answer, fail, ejected } = setup()
  answer(502)
  answer(504)
  fail(coded('ECONNRESET'))
  t.same(ejected, [0])
  fail(UPSTREAM_TIMEOUT)
  fail(coded('HPE_INVALID_CONSTANT'))
  answer(503)
  t.same(ejected, [0, 1])
  t.end()
})

test('500, a fault of the client and a client that leaves do not count against a target', (t) => {
  const { answer, fail, lease, ejected, members } = setup()
  for (let count = 0; count < 9; count++) {
    answer(500)
    fail(new ApiError('body_too_large', 'too large'))
    fail(new Error('a fault of the gateway'))
    fail(coded('EMFILE'))
    const left = lease()
    left.next()
    left.done()
  }
  t.same(ejected, [])
  t.same([...(members[0]?.stats.tries ?? [])], [0, 0, 0, 0, 0, 9, 0, 36])
  t.end()
})

test('a sole target is never ejected', (t) => {
  const { answer, ejected, members, lease } = setup({ targets: 1 })
  for (let count = 0; count < 50; count++) answer(503)
  t.same(ejected, [])
  t.ok(lease().next())
  t.equal(members[0]?.state.isEjected(0), false)
  t.end()
})

test('behind open breakers a request is refused at once, and a trial closes them', (t) => {
  const { answer, lease, clock } = setup({ targets: 1, breakers: true })
  for (let count = 0; count < 4; count++) answer(503)
  const told: string[] = []
  const asker = { onTarget() {}, onNoTarget: ({ code }: ApiError, reason: string) => void told.push(code, reason) }
  const refused = lease()
  t.equal(refused.next(), null)
  refused.wait(asker)
  t.same(told, ['upstream_unavailable', 'no_target'])
  clock.advance(5_000)
  const trial = lease()
  t.ok(trial.next())
  t.equal(lease().next(), null, 'one trial')
  trial.answered(200)
  t.ok(lease().next())
  t.end()
})

test('requests that wait for a target are refused when its breaker has opened', (t) => {
  const connections = { max: 4, queue: { max: 10, timeout: 1_000 } }
  const { lease, usage, clock } = setup({ targets: 1, breakers: true, connections })
  const running = Array.from({ length: 4 }, () => lease('POST'))
  for (const one of running) one.next()
  const told: string[] = []
  for (let count = 0; count < 3; count++) {
    lease('POST').wait({ onTarget() {}, onNoTarget: (_, reason) => void told.push(reason) })
  }
  t.equal(usage.pending, 3)
  for (const one of running) one.answered(503)
  running[0]?.done()
  t.same(told, ['no_target', 'no_target', 'no_target'])
  t.same([usage.pending, usage.inFlight, clock.pending], [0, 3, 0])
  t.end()
})

test('maxInFlight and maxPending limit the upstream as a whole', (t) => {
  const limits = { maxInFlight: 3, maxPending: 1 }
  const { lease, usage } = setup({ limits, connections: { max: 1, queue: { max: 9, timeout: 1_000 } } })
  const told: string[] = []
  const ask = () => {
    const one = lease()
    const asker = { onTarget() {}, onNoTarget: (_: ApiError, reason: string) => void told.push(reason) }
    if (one.next() === null) one.wait(asker)
    return one
  }
  const running = [ask(), ask()]
  t.same([usage.inFlight, usage.pending], [2, 0])
  const waiting = ask()
  ask()
  t.same(told, ['max_pending'])
  waiting.stopWaiting()
  for (const one of running) one.done()
  t.same([usage.inFlight, usage.pending], [0, 0])
  const narrow = setup({ limits: { maxInFlight: 1, maxPending: 9 } })
  narrow.lease().next()
  narrow.lease().wait({ onTarget() {}, onNoTarget: (_, reason) => void told.push(reason) })
  t.same(told, ['max_pending', 'max_in_flight'])
  t.equal(narrow.usage.refusals.max_in_flight, 1)
  t.end()
})

test('a storm of 503 is retried within the budget, and three times a second beyond it', (t) => {
  const { lease, usage, clock } = setup()
  const storm = (size: number) => {
    const all = Array.from({ length: size }, () => lease())
    for (const one of all) one.next()
    const again = all.filter((one) => {
      const isAgain = one.answered(503)
      if (isAgain) one.next()
      return isAgain
    })
    for (const one of all) one.done()
    return again.length
  }
  t.equal(storm(100), 23, 'a fifth of the requests under way, and three')
  t.same([usage.retries, usage.retriesRefused, usage.inFlight], [23, 77, 0])
  t.equal(storm(1), 1, 'a fifth of one request is more than no retry under way')
  clock.advance(1_000)
  t.equal(storm(10), 5)
  t.end()
})

test('a retry after a connection that could not be opened needs no budget', (t) => {
  const { lease, usage } = setup({ retries: { attempts: 1, budget: 0, on: ['connect'] } })
  const all = Array.from({ length: 20 }, () => lease())
  for (const one of all) one.next()
  t.equal(all.filter((one) => one.failed(coded('ECONNREFUSED'), false)).length, 20)
  t.same([usage.retries, usage.retriesRefused], [20, 0])
  t.end()
})

test('after the deadline of a request there is no further try, and no wait goes beyond it', (t) => {
  const { lease, clock } = setup({ deadlineAt: 500, connections: { max: 1, queue: { max: 9, timeout: 1_000 } } })
  const [first, second, waiting] = [lease(), lease(), lease()]
  first.next()
  second.next()
  const told: string[] = []
  t.equal(waiting.next(), null)
  waiting.wait({ onTarget() {}, onNoTarget: (_, reason) => void told.push(reason) })
  clock.advance(499)
  t.same(told, [])
  t.equal(second.failed(coded('ECONNREFUSED'), false), true)
  clock.advance(1)
  t.equal(first.failed(coded('ECONNREFUSED'), false), false)
  t.end()
})

test('a further try that had no time left does not count against its target', (t) => {
  const { lease, clock, members } = setup({ deadlineAt: 500 })
  const one = lease()
  one.next()
  clock.advance(490)
  one.failed(coded('ECONNREFUSED'), false)
  one.next()
  clock.advance(10)
  one.failed(coded('CONNECT_TIMEOUT'), false)
  t.same(
    members.map(({ target }) => target.avoidUntil),
    [2_490, 0]
  )
  t.same(
    members.map(({ stats }) => [stats.tries[0], stats.tries[7]]),
    [
      [1, 0],
      [0, 1]
    ]
  )
  t.end()
})
