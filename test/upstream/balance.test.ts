/** Balancing between targets. */
import { test } from 'tap'
import { type Balance, balanceBy, type Member } from '../../src/upstream/balance.ts'
import { fakeMembers } from '../support/targets.ts'

function shares(members: readonly Member[], balance: Balance, keys: readonly (string | null)[]): number[] {
  const counts = new Map(members.map((member) => [member, 0]))
  for (const key of keys) {
    const picked = balance(members, key)
    if (picked) counts.set(picked, (counts.get(picked) ?? 0) + 1)
  }
  return [...counts.values()]
}

const noKeys = (count: number) => Array<null>(count).fill(null)
const users = (count: number) => Array.from({ length: count }, (_, index) => `oUser${index}`)

test('roundRobin shares by weight, and interleaves', (t) => {
  const members = fakeMembers([5, 1, 1])
  const pick = balanceBy('roundRobin')
  const order = noKeys(7).map(() => members.indexOf(pick(members, null) as Member))
  t.same(order, [0, 0, 1, 0, 2, 0, 0])
  t.same(shares(members, pick, noKeys(70)), [50, 10, 10])
  t.end()
})

test('leastRequests picks the least load per weight, and takes turns between equals', (t) => {
  const members = fakeMembers([1, 2, 1])
  const [first, second, third] = members
  if (!first || !second || !third) throw new Error('three members')
  const pick = balanceBy('leastRequests')
  first.target.inFlight = 2
  second.target.inFlight = 3
  third.target.inFlight = 2
  t.equal(pick(members, null), second)
  second.target.inFlight = 4
  t.same(shares(members, pick, noKeys(40)), [10, 20, 10])
  t.end()
})

test('hash keeps a key on one target; a target that leaves moves only its own keys', (t) => {
  const members = fakeMembers(4)
  const pick = balanceBy('hash')
  const placeOf = (list: readonly Member[]) => new Map(users(400).map((key) => [key, pick(list, key)]))
  const before = placeOf(members)
  t.same(placeOf(members), before)
  const after = placeOf(members.slice(1))
  for (const [key, member] of before) if (member !== members[0]) t.equal(after.get(key), member)
  for (const count of shares(members, pick, users(400))) t.ok(count > 60 && count < 140, String(count))
  t.end()
})

test('hash follows the weights, and spreads requests without a key', (t) => {
  const [heavy, light] = shares(fakeMembers([3, 1]), balanceBy('hash'), users(1_000))
  t.ok(heavy !== undefined && light !== undefined && heavy > 2 * light && heavy < 4.5 * light)
  t.same(shares(fakeMembers(2), balanceBy('hash'), noKeys(10)), [5, 5])
  t.end()
})

test('an empty list picks nothing', (t) => {
  for (const policy of ['roundRobin', 'leastRequests', 'hash'] as const) t.equal(balanceBy(policy)([], 'a'), null)
  t.end()
})
