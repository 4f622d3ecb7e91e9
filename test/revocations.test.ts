/** The revocation feed: the meaning of an entry, its life, and that no entry can stop a reader. */
import { type Test, test } from 'tap'
import type { Principal } from '../src/identity/principal.ts'
import { createRevocations } from '../src/identity/revocations.ts'
import { createMemoryStore } from '../src/store/memory.ts'
import type { Store } from '../src/store/port.ts'
import { createFakeClock } from './support/clock.ts'
import { quietLog } from './support/store.ts'
import { idle } from './support/timers.ts'

const ACCESS_TTL = 7_200_000
const clock = createFakeClock()

async function follow(t: Test, store: Store, time = clock) {
  const options = { store, clock: time, log: quietLog(), accessTtl: ACCESS_TTL, grace: 60_000 }
  const revocations = createRevocations(options)
  t.teardown(() => revocations.stop())
  await revocations.start()
  return revocations
}

const makeStore = (time = clock) => createMemoryStore({ clock: time, log: quietLog() })

const principal = (changes: Partial<Principal> = {}): Principal => ({
  appId: 'wx1',
  openId: 'oAlice',
  unionId: null,
  userId: 'u_alice',
  sessionId: 's1',
  epoch: 0,
  status: 'anonymous',
  claims: {},
  expiresAt: clock.now() + ACCESS_TTL,
  ...changes
})

test('an entry revokes one session, or one user of one mini-program below an epoch', async (t) => {
  const revocations = await follow(t, makeStore())
  await revocations.endSession('s1')
  await revocations.endUser('wx1', 'oBob', 3)
  await revocations.endUser('wx1', 'oBob', 2)
  t.equal(revocations.isRevoked(principal()), true)
  t.equal(revocations.isRevoked(principal({ sessionId: 's2' })), false)
  const bob = { openId: 'oBob', sessionId: 's3' }
  t.equal(
    revocations.isRevoked(principal({ ...bob, epoch: 2 })),
    true,
    'an older entry after a newer one reverts nothing'
  )
  t.equal(revocations.isRevoked(principal({ ...bob, epoch: 3 })), false)
  t.equal(revocations.isRevoked(principal({ ...bob, appId: 'wx2' })), false)
  t.equal(revocations.isRevoked(principal({ ...bob, appId: 'wx1:oBob', openId: '' })), false)
  await revocations.markBound('wx1', 'oCarol')
  t.equal(revocations.statusOf(principal({ openId: 'oCarol' })), 'bound')
  t.equal(revocations.statusOf(principal({ openId: 'oCarol', appId: 'wx2' })), 'anonymous')
  t.equal(revocations.statusOf(principal({ openId: 'oDave', status: 'bound' })), 'bound')
})

test('an entry outlives every token it revokes, also one issued a moment later by a clock ahead, and is then forgotten', async (t) => {
  const time = createFakeClock()
  const store = makeStore(time)
  const revocations = await follow(t, store, time)
  await revocations.endSession('s1')
  await revocations.endUser('wx1', 'oAlice', 1)
  await revocations.markBound('wx1', 'oAlice')
  time.advance(ACCESS_TTL + 10_000)
  await idle()
  t.equal(revocations.size, 2)
  t.equal(revocations.isRevoked(principal()), true)
  const late = await follow(t, store, time)
  t.equal(late.isRevoked(principal()), true, 'also for instances that start now')
  time.advance(120_000)
  await idle()
  t.equal(revocations.size, 0)
  t.equal(revocations.isRevoked(principal()), false)
  t.equal(revocations.statusOf(principal()), 'anonymous')
  t.equal((await follow(t, store, time)).size, 0)
})

test('unreadable entries of the feed are skipped', async (t) => {
  const store = makeStore()
  const x = clock.now() + ACCESS_TTL
  const rubbish = [
    '',
    '{',
    'null',
    '[]',
    '1',
    '{}',
    `{"x":${x}}`,
    `{"s":"s1"}`,
    `{"s":"s1","x":"later"}`,
    `{"s":1,"x":${x}}`
  ]
  const users = [
    `{"u":"oAlice","e":1,"x":${x}}`,
    `{"a":"wx1","u":"oAlice","e":"1","x":${x}}`,
    `{"a":1,"b":"o","x":${x}}`
  ]
  for (const entry of [...rubbish, ...users, `{"s":"__proto__","x":${x}}`, `{"s":"s9","x":${x},"new":1}`])
    await store.appendFeed(entry, ACCESS_TTL)
  const revocations = await follow(t, store)
  t.equal(revocations.isTrusted, true)
  t.equal(revocations.isRevoked(principal()), false)
  t.equal(revocations.isRevoked(principal({ sessionId: 's9' })), true, 'entries may get new members')
  t.equal(revocations.size, 2)
})

test('the age of what is known counts from the question, not from an answer that came late', async (t) => {
  const time = createFakeClock()
  const store = makeStore(time)
  const readFeed: Store['readFeed'] = async (...range) => {
    const page = await store.readFeed(...range)
    time.advance(500)
    return page
  }
  const revocations = await follow(t, { ...store, readFeed }, time)
  t.equal(revocations.age(), 500)
})

test('a feed of many pages is read completely before any token is trusted', async (t) => {
  const store = makeStore()
  for (let index = 0; index < 5_001; index++)
    await store.appendFeed(JSON.stringify({ s: `s${index}`, x: clock.now() + ACCESS_TTL }), ACCESS_TTL)
  const revocations = await follow(t, store)
  t.equal(revocations.size, 5_001)
  t.equal(revocations.isRevoked(principal({ sessionId: 's5000' })), true)
})
