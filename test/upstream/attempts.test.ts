/** Conditions under which another target is tried. */
import { test } from 'tap'
import { ApiError } from '../../src/errors.ts'
import { Lease } from '../../src/upstream/attempts.ts'
import type { LeaseSource } from '../../src/upstream/lease-source.ts'
import { UpstreamUsage } from '../../src/upstream/upstream-usage.ts'
import { createFakeClock } from '../support/clock.ts'
import { fakeMembers, firstOf } from '../support/targets.ts'

const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
const reset = Object.assign(new Error('reset'), { code: 'ECONNRESET' })
const bodyTooLarge = new ApiError('body_too_large', 'too large')

type Cause = 'connect' | 'reset' | '502' | '503' | '504'

function setup(
  options: {
    targets?: number
    connections?: LeaseSource['connections']
    limits?: LeaseSource['limits']
    attempts?: number
    budget?: number
    on?: Cause[]
    method?: string
    hasBody?: boolean
  } = {}
) {
  const { targets = 2, attempts = 1, on = ['connect', 'reset'], method = 'GET', hasBody = false } = options
  const { connections = { max: 10, queue: { max: 10, timeout: 1_000 } } } = options
  const { budget = 1, limits = { maxInFlight: 100, maxPending: 100 } } = options
  const clock = createFakeClock()
  const members = fakeMembers(targets)
  const usage = new UpstreamUsage()
  const source: LeaseSource = {
    selection: firstOf(members, connections.max),
    usage,
    connections,
    outliers: { failures: 5, ejectFor: 10_000, maxEjected: 0.5 },
    retries: { attempts, budget, on },
    limits,
    clock,
    onEjected() {}
  }
  const lease = () =>
    new Lease(source, { key: null, method, isReplayable: !hasBody, deadlineAt: Number.POSITIVE_INFINITY })
  return { clock, usage, targets: members.map(({ target }) => target), lease }
}

test('a failed connection is tried at another target, whatever the method and the body', (t) => {
  for (const method of ['GET', 'POST', 'PATCH']) {
    const { targets, lease } = setup({ method, hasBody: method !== 'GET', on: ['connect'] })
    const tries = lease()
    t.equal(tries.next(), targets[0])
    t.equal(tries.failed(refused, false), true)
    t.equal(tries.next(), targets[1])
  }
  t.end()
})

test('a request that was sent is repeated only when it is idempotent and has no body', (t) => {
  const mayRepeat = (method: string, hasBody: boolean) => {
    const tries = setup({ method, hasBody }).lease()
    tries.next()
    return tries.failed(reset, true)
  }
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE']) {
    t.equal(mayRepeat(method, false), true, method)
    t.equal(mayRepeat(method, true), false, `${method} with a body`)
  }
  for (const method of ['POST', 'PATCH', 'LINK']) t.equal(mayRepeat(method, false), false, method)
  t.end()
})

test('a response that began is never requested again', (t) => {
  const { targets, lease } = setup()
  const tries = lease()
  tries.next()
  t.equal(tries.answered(200), false)
  t.equal(tries.failed(reset, true), false)
  t.equal(targets[0]?.inFlight, 0)
  t.end()
})

test('retries.on decides which statuses are retried, and retries.attempts how often', (t) => {
  const { targets, lease } = setup({ targets: 3, attempts: 2, on: ['503'] })
  const tries = lease()
  t.equal(tries.next(), targets[0])
  t.equal(tries.answered(503), true)
  t.equal(tries.next(), targets[1])
  t.equal(tries.answered(503), true)
  t.equal(tries.next(), targets[2])
  t.equal(tries.answered(503), false, 'no tries are left')
  tries.done()
  const other = lease()
  other.next()
  t.equal(other.answered(502), false, '502 is not listed')
  other.done()
  t.same(
    targets.map((target) => target.inFlight),
    [0, 0, 0]
  )
  t.end()
})

test('with attempts: 0 nothing is retried', (t) => {
  const tries = setup({ attempts: 0 }).lease()
  tries.next()
  t.equal(tries.failed(refused, false), false)
  t.end()
})

test('a target that refused a connection is avoided for two seconds, and used when no other is left', (t) => {
  const { clock, targets, lease } = setup()
  const tries = lease()
  tries.next()
  tries.failed(refused, false)
  t.equal(lease().next(), targets[1])
  clock.advance(1_999)
  t.equal(lease().next(), targets[1])
  clock.advance(1)
  t.equal(lease().next(), targets[0])
  for (const target of targets) target.avoidUntil = Number.POSITIVE_INFINITY
  t.equal(lease().next(), targets[0])
  t.end()
})

test('after all targets were tried each may be tried again', (t) => {
  const { targets, lease } = setup({ attempts: 3 })
  const tries = lease()
  const seen = [tries.next()]
  while (tries.failed(refused, false)) seen.push(tries.next())
  t.equal(seen.length, 4)
  t.equal(new Set(seen.slice(0, 2)).size, 2)
  t.equal(new Set(seen.slice(2)).size, 2)
  t.same(
    targets.map((target) => target.inFlight),
    [0, 0]
  )
  t.end()
})

test('an error of the gateway itself is not a failure of the target', (t) => {
  const { targets, lease } = setup()
  for (const wasSent of [true, false]) {
    const tries = lease()
    tries.next()
    t.equal(tries.failed(bodyTooLarge, wasSent), false)
    t.equal(targets[0]?.avoidUntil, 0)
  }
  t.end()
})

test('running requests are counted once, however often a try is ended', (t) => {
  const { targets, lease } = setup({ targets: 1 })
  const tries = lease()
  tries.next()
  t.equal(targets[0]?.inFlight, 1)
  tries.done()
  tries.done()
  t.equal(targets[0]?.inFlight, 0)
  t.equal(setup({ targets: 0 }).lease().next(), null)
  t.end()
})

/** A lease that asks for a target, and all that it is told. */
function asking(lease: Lease) {
  const told: unknown[] = []
  const target = lease.next()
  if (target !== null) told.push(target)
  else lease.wait({ onTarget: (given) => told.push(given), onNoTarget: ({ code }, reason) => told.push(code, reason) })
  return { lease, told }
}

test('beyond connections.max requests wait, and get the target in their order', async (t) => {
  const { targets, lease } = setup({ targets: 1, connections: { max: 2, queue: { max: 10, timeout: 1_000 } } })
  const all = Array.from({ length: 5 }, () => asking(lease()))
  const counts = () => all.map(({ told }) => told.length)
  t.same(counts(), [1, 1, 0, 0, 0])
  all[1]?.lease.done()
  await Promise.resolve()
  t.same(counts(), [1, 1, 1, 0, 0])
  all[0]?.lease.done()
  all[2]?.lease.done()
  await Promise.resolve()
  t.same(counts(), [1, 1, 1, 1, 1])
  t.equal(targets[0]?.inFlight, 2)
})

test('a full queue and a wait that is too long are upstream_unavailable', (t) => {
  const { clock, lease } = setup({ targets: 1, connections: { max: 1, queue: { max: 1, timeout: 1_000 } } })
  const [, waiting, surplus] = Array.from({ length: 3 }, () => asking(lease()))
  t.same(surplus?.told, ['upstream_unavailable', 'queue_full'])
  t.same(waiting?.told, [])
  clock.advance(1_000)
  t.same(waiting?.told, ['upstream_unavailable', 'queue_timeout'])
  t.equal(clock.pending, 0)
  t.end()
})

test('a request that gives up leaves the queue to the others', async (t) => {
  const { clock, targets, lease } = setup({ targets: 1, connections: { max: 1, queue: { max: 9, timeout: 1_000 } } })
  const [first, gone, next] = Array.from({ length: 3 }, () => asking(lease()))
  gone?.lease.stopWaiting()
  first?.lease.done()
  await Promise.resolve()
  t.same([gone?.told.length, next?.told], [0, [targets[0]]])
  next?.lease.done()
  t.equal(targets[0]?.inFlight, 0)
  t.equal(clock.pending, 0)
})

test('a target with room is preferred to a full one', (t) => {
  const { targets, lease } = setup({ connections: { max: 1, queue: { max: 1, timeout: 1_000 } } })
  t.equal(lease().next(), targets[0])
  t.equal(lease().next(), targets[1])
  t.equal(lease().next(), null)
  t.end()
})
