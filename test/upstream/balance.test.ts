/** Balancing between targets. */
import { test } from 'tap'
import { balanceBy } from '../../src/upstream/balance.ts'
import type { Member } from '../../src/upstream/member.ts'
import { Selection } from '../../src/upstream/selection.ts'
import { TargetState } from '../../src/upstream/target-state.ts'
import { fakeMembers } from '../support/targets.ts'

type Policy = Parameters<typeof balanceBy>[0]

interface Options {
  readonly maxInFlight?: number
  readonly slowStartMs?: number
  readonly maxEjected?: number
}

function selectionOf(members: readonly Member[], policy: Policy, options: Options = {}): Selection {
  const balance = balanceBy(policy, randomNumbers())
  return new Selection({ members, balance, maxInFlight: 10, slowStartMs: 0, maxEjected: 0.5, ...options })
}

/** The same numbers in every run. */
function randomNumbers(): () => number {
  let state = 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 0x1_0000_0000
  }
}

function shares(selection: Selection, keys: readonly (string | null)[], now = 0): number[] {
  const counts = new Map(selection.members.map((member) => [member, 0]))
  for (const key of keys) {
    const picked = selection.pick(now, key, null)
    if (picked) counts.set(picked, (counts.get(picked) ?? 0) + 1)
  }
  return [...counts.values()]
}

/** The rest of the list after its first entries, each of which must exist. */
function three(members: readonly Member[]): [Member, Member, Member] {
  const [first, second, third] = members
  if (!first || !second || !third) throw new Error('three members')
  return [first, second, third]
}

const noKeys = (count: number) => Array<null>(count).fill(null)
const users = (count: number) => Array.from({ length: count }, (_, index) => `oUser${index}`)
const outliers = { failures: 1, ejectFor: 10_000, maxEjected: 0.5 }

test('roundRobin shares by weight, and interleaves', (t) => {
  const members = fakeMembers([5, 1, 1])
  const selection = selectionOf(members, 'roundRobin')
  const order = noKeys(7).map(() => members.indexOf(selection.pick(0, null, null) as Member))
  t.same(order, [0, 0, 1, 0, 2, 0, 0])
  t.same(shares(selection, noKeys(70)), [50, 10, 10])
  t.end()
})

test('leastRequests takes the lower load of two members, drawn by weight', (t) => {
  const members = fakeMembers([1, 2, 1])
  const [first, second, third] = three(members)
  const selection = selectionOf(members, 'leastRequests')
  const even = shares(selection, noKeys(4_000))
  for (const [index, count] of even.entries()) {
    t.ok(Math.abs(count - (index === 1 ? 2_000 : 1_000)) < 400, String(even))
  }
  first.target.inFlight = 9
  second.target.inFlight = 0
  third.target.inFlight = 5
  t.equal(shares(selection, noKeys(200))[0], 0, 'the highest load loses every comparison')
  t.end()
})

test('leastRequests with one member left picks it', (t) => {
  const members = fakeMembers(2)
  const [first, second] = members
  t.equal(selectionOf(members, 'leastRequests').pick(0, null, first ? [first] : null), second)
  t.end()
})

test('hash keeps a key on one target; a target that leaves moves only its own keys', (t) => {
  const members = fakeMembers(4)
  const selection = selectionOf(members, 'hash')
  const place = () => new Map(users(400).map((key) => [key, selection.pick(5, key, null)]))
  const before = place()
  t.same(place(), before)
  members[0]?.state.failed(outliers, 0)
  const ejected = place()
  const fewer = selectionOf(members.slice(1), 'hash')
  for (const [key, member] of before) {
    if (member !== members[0]) t.equal(ejected.get(key), member)
    t.equal(fewer.pick(5, key, null), ejected.get(key), 'a target that left counts as one that is ejected')
  }
  for (const count of shares(selectionOf(members, 'hash'), users(400), 60_000)) t.ok(count > 60 && count < 140)
  t.end()
})

test('hash follows the weights, and spreads requests without a key', (t) => {
  const [heavy, light] = shares(selectionOf(fakeMembers([3, 1]), 'hash'), users(1_000))
  t.ok(heavy !== undefined && light !== undefined && heavy > 2 * light && heavy < 4.5 * light)
  t.same(shares(selectionOf(fakeMembers(2), 'hash'), noKeys(10)), [5, 5])
  t.end()
})

test('an upstream without members, or with unhealthy ones only, picks nothing', (t) => {
  for (const policy of ['roundRobin', 'leastRequests', 'hash'] as const) {
    t.equal(selectionOf([], policy).pick(0, 'a', null), null)
    const unhealthy = fakeMembers(2, () => ({ check: { isHealthy: false } }))
    t.equal(selectionOf(unhealthy, policy).pick(0, 'a', null), null)
    t.equal(selectionOf(unhealthy.slice(1), policy).pick(0, 'a', null), null)
  }
  t.end()
})

test('an ejected target gets nothing, and more ejections than maxEjected are ignored', (t) => {
  const members = fakeMembers(4)
  const [first, second, third] = three(members)
  const selection = selectionOf(members, 'roundRobin')
  first.state.failed(outliers, 0)
  second.state.failed(outliers, 0)
  t.same(shares(selection, noKeys(40), 1), [0, 0, 20, 20], 'half may be ejected')
  third.state.failed(outliers, 0)
  t.same(shares(selection, noKeys(40), 1), [10, 10, 10, 10], 'panic: all are used')
  t.same(shares(selection, noKeys(40), 10_000), [10, 10, 10, 10])
  t.end()
})

test('when every healthy target is ejected, they are used, and unhealthy ones are not', (t) => {
  const [first, second, third] = three(fakeMembers(3))
  const unhealthy = fakeMembers(1, () => ({ check: { isHealthy: false }, state: new TargetState() }))
  const selection = selectionOf([first, second, ...unhealthy], 'roundRobin', { maxEjected: 1 })
  first.state.failed(outliers, 0)
  second.state.failed(outliers, 0)
  t.same(shares(selection, noKeys(10), 1), [5, 5, 0])
  third.state.failed(outliers, 0)
  t.equal(selectionOf([third], 'roundRobin').pick(1, null, null), third, 'a sole target stays in use')
  t.end()
})

test('a request prefers targets with room, then full ones, then suspect ones, then those it tried', (t) => {
  const members = fakeMembers(3)
  const [first, second, third] = three(members)
  const selection = selectionOf(members, 'roundRobin', { maxInFlight: 1 })
  first.target.inFlight = 1
  second.target.avoidUntil = 10
  t.equal(selection.pick(0, null, null), third)
  t.equal(selection.pick(0, null, [third]), first, 'it waits for a full one')
  t.equal(selection.pick(0, null, [third, first]), second)
  t.ok(selection.pick(0, null, members))
  t.end()
})

test('a target that comes back gets its share gradually', (t) => {
  const members = fakeMembers(2)
  const selection = selectionOf(members, 'roundRobin', { slowStartMs: 10_000 })
  t.same(shares(selection, noKeys(100)), [50, 50], 'a start of the gateway is no return')
  members[0]?.state.returned(0)
  t.same(shares(selection, noKeys(110), 0), [10, 100], 'a tenth at first')
  t.same(shares(selection, noKeys(150), 5_000), [50, 100])
  t.same(shares(selection, noKeys(100), 10_000), [50, 50])
  members[1]?.state.failed(outliers, 20_000)
  t.same(shares(selection, noKeys(150), 35_000), [100, 50], 'the end of an ejection is a return')
  t.end()
})
