/** Rules of the durable queue, the same for every store: title of the rule, and a proof that it
 *  holds. */
import type { Test } from 'tap'
import type { Claim, Enqueued } from '../../src/store/queue.ts'
import type { Opened } from './store-rules.ts'

const MINUTE = 60_000
const OPTIONS = { leaseMs: MINUTE, rememberMs: MINUTE, maxEvents: 100, maxBytes: 10_000 }
const Q = 'push:wx1'

const event = (key: string, lane = 'alice', value = `value of ${key}`) => ({ key, lane, value })

function claimOf(t: Test, enqueued: Enqueued): Claim {
  if (enqueued.outcome === 'added' && enqueued.claim !== null) return enqueued.claim
  t.fail(`no claim: ${JSON.stringify(enqueued)}`)
  throw new Error('no claim')
}

export const queueRules: Readonly<Record<string, (t: Test, opened: Opened) => Promise<void>>> = {
  async 'an event is leased to the caller that adds it while its lane is idle'(t, { store, twin }) {
    const claim = claimOf(t, await store.queue.enqueue(Q, event('a'), OPTIONS))
    t.match(claim, { lane: 'alice', value: 'value of a', attempt: 1 })
    t.same(await twin.queue.claim(Q, 10, MINUTE), [], 'no second holder')
    t.equal(await store.queue.done(Q, claim), 'empty')
    t.same(await twin.queue.claim(Q, 10, MINUTE), [])
    t.same(await store.queue.depth(Q), { waiting: 0, bytes: 0, dead: 0 })
  },

  async 'an event that is added without a lease waits for a claim, which is its first attempt'(t, { store, twin }) {
    const options = { ...OPTIONS, leaseMs: null }
    t.match(await store.queue.enqueue(Q, event('a'), options), { outcome: 'added', claim: null, isPaused: false })
    t.match(await store.queue.enqueue(Q, event('b'), OPTIONS), { outcome: 'added', claim: null, isPaused: false })
    const claims = await twin.queue.claim(Q, 10, MINUTE)
    t.equal(claims.length, 1)
    t.match(claims, [{ lane: 'alice', value: 'value of a', attempt: 1 }])
    if (claims[0]) t.equal(await store.queue.done(Q, claims[0]), 'more')
  },

  async 'the events of a lane come one at a time, in their order; lanes do not wait for each other'(
    t,
    { store, twin }
  ) {
    const first = claimOf(t, await store.queue.enqueue(Q, event('a'), OPTIONS))
    t.match(await twin.queue.enqueue(Q, event('b'), OPTIONS), { outcome: 'added', claim: null })
    t.match(await store.queue.enqueue(Q, event('c'), OPTIONS), { outcome: 'added', claim: null })
    claimOf(t, await twin.queue.enqueue(Q, event('d', 'bob'), OPTIONS))
    t.same(await twin.queue.claim(Q, 10, MINUTE), [])
    t.equal(await store.queue.done(Q, first), 'more')
    for (const key of ['b', 'c']) {
      const claims = await twin.queue.claim(Q, 10, MINUTE)
      t.match(claims, [{ lane: 'alice', value: `value of ${key}` }])
      t.equal(claims.length, 1)
      for (const claim of claims) await twin.queue.done(Q, claim)
    }
    t.equal((await store.queue.depth(Q)).waiting, 1)
  },

  async 'of two instances exactly one gets an event'(t, { store, twin }) {
    for (let index = 0; index < 20; index++) {
      const claim = claimOf(t, await store.queue.enqueue(Q, event(`k${index}`, `lane${index}`), OPTIONS))
      await store.queue.release(Q, claim, 0)
    }
    const halves = await Promise.all([store.queue.claim(Q, 20, MINUTE), twin.queue.claim(Q, 20, MINUTE)])
    const ids = halves.flat().map(({ id }) => id)
    t.equal(ids.length, 20)
    t.equal(new Set(ids).size, 20)
  },

  async 'an event is handed out again when its lease has run out, and the late holder settles nothing'(t, opened) {
    const { store, twin, pass } = opened
    const lost = claimOf(t, await store.queue.enqueue(Q, event('a'), { ...OPTIONS, leaseMs: 1_000 }))
    t.same(await twin.queue.claim(Q, 1, MINUTE), [])
    await pass(1_000)
    const [again] = await twin.queue.claim(Q, 1, MINUTE)
    t.match(again, { id: lost.id, value: 'value of a', attempt: 2 })
    t.equal(await store.queue.done(Q, lost), 'lost')
    t.equal(await store.queue.release(Q, lost, 0), false)
    t.equal(await store.queue.bury(Q, lost, 'late', 10), 'lost')
    t.equal((await store.queue.depth(Q)).waiting, 1)
    if (again) t.equal(await twin.queue.done(Q, again), 'empty')
  },

  async 'a released event waits for its delay and stays before later events of its lane'(t, { store, twin, pass }) {
    const claim = claimOf(t, await store.queue.enqueue(Q, event('a'), OPTIONS))
    t.match(await twin.queue.enqueue(Q, event('b'), OPTIONS), { isPaused: false }, 'its lane is leased')
    t.equal(await store.queue.release(Q, claim, 1_000), true)
    t.same(await store.queue.claim(Q, 10, MINUTE), [])
    t.match(await store.queue.enqueue(Q, event('c'), OPTIONS), { claim: null, isPaused: true })
    await pass(1_000)
    t.match(await twin.queue.enqueue(Q, event('d'), OPTIONS), { claim: null, isPaused: false }, 'the delay is over')
    t.match(await store.queue.claim(Q, 10, MINUTE), [{ value: 'value of a', attempt: 2 }])
  },

  async 'an event that comes again is known, until its time is up'(t, { store, twin, pass }) {
    const options = { ...OPTIONS, rememberMs: 1_000 }
    t.equal(await store.queue.isKnown(Q, 'a'), false)
    const claim = claimOf(t, await store.queue.enqueue(Q, event('a'), options))
    t.equal(await twin.queue.isKnown(Q, 'a'), true)
    t.same(await twin.queue.enqueue(Q, event('a'), options), { outcome: 'known' })
    await store.queue.done(Q, claim)
    t.same(await twin.queue.enqueue(Q, event('a', 'bob'), options), { outcome: 'known' })
    t.match(await twin.queue.enqueue('push:wx2', event('a'), options), { outcome: 'added' }, 'another queue')
    await pass(1_000)
    t.match(await twin.queue.enqueue(Q, event('a'), options), { outcome: 'added' })
  },

  async 'a full queue takes no event, by count and by bytes, and remembers no key of one'(t, { store }) {
    const byCount = { ...OPTIONS, maxEvents: 2 }
    const claim = claimOf(t, await store.queue.enqueue(Q, event('a'), byCount))
    await store.queue.enqueue(Q, event('b'), byCount)
    t.same(await store.queue.enqueue(Q, event('c'), byCount), { outcome: 'full' })
    await store.queue.done(Q, claim)
    t.match(await store.queue.enqueue(Q, event('c'), byCount), { outcome: 'added' })
    const { bytes } = await store.queue.depth(Q)
    t.equal(bytes, 2 * ('alice'.length + 'value of b'.length))
    t.same(await store.queue.enqueue(Q, event('d'), { ...OPTIONS, maxBytes: bytes + 5 }), { outcome: 'full' })
  },

  async 'a buried event frees its lane, is listed with its reason, and can come back before later ones'(t, opened) {
    const { store, twin } = opened
    const claim = claimOf(t, await store.queue.enqueue(Q, event('a', 'alice', '{"报表":"\u{1F600}"}'), OPTIONS))
    await store.queue.enqueue(Q, event('b'), OPTIONS)
    t.equal(await store.queue.bury(Q, claim, 'refused with 400', 10), 'more')
    t.match(await store.queue.depth(Q), { waiting: 1, dead: 1 })
    const dead = await twin.queue.dead(Q, '', 10)
    t.match(dead, [{ id: claim.id, lane: 'alice', value: '{"报表":"\u{1F600}"}', reason: 'refused with 400' }])
    t.same(await twin.queue.dead(Q, claim.id, 10), [])
    t.equal(await twin.queue.revive(Q, '99'), false)
    t.equal(await twin.queue.revive(Q, 'x'), false)
    t.equal(await twin.queue.revive(Q, claim.id), true)
    t.equal(await twin.queue.revive(Q, claim.id), false)
    const [back] = await store.queue.claim(Q, 10, MINUTE)
    t.match(back, { id: claim.id, attempt: 1 })
    if (back) await store.queue.done(Q, back)
    t.match(await store.queue.claim(Q, 10, MINUTE), [{ value: 'value of b' }])
    const { waiting, dead: left } = await store.queue.depth(Q)
    t.same([waiting, left], [1, 0])
  },

  async 'an event that comes back while its lane is leased does not disturb the holder'(t, { store }) {
    const first = claimOf(t, await store.queue.enqueue(Q, event('a'), OPTIONS))
    await store.queue.bury(Q, first, 'x', 10)
    const second = claimOf(t, await store.queue.enqueue(Q, event('b'), OPTIONS))
    t.equal(await store.queue.revive(Q, first.id), true)
    t.equal(await store.queue.done(Q, second), 'more')
    t.match(await store.queue.claim(Q, 10, MINUTE), [{ id: first.id }])
    t.equal((await store.queue.depth(Q)).waiting, 1)
  },

  async 'only the newest dead events are kept'(t, { store }) {
    for (let index = 0; index < 5; index++) {
      const claim = claimOf(t, await store.queue.enqueue(Q, event(`k${index}`, `lane${index}`), OPTIONS))
      await store.queue.bury(Q, claim, 'x', 3)
    }
    t.match(await store.queue.dead(Q, '', 2), [{ lane: 'lane2' }, { lane: 'lane3' }])
    t.equal((await store.queue.depth(Q)).dead, 3)
  }
}
