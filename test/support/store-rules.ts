/** The rules of every store: title of the rule, and its check. */
import type { Test } from 'tap'
import type { Store } from '../../src/store/port.ts'

const HOUR = 3_600_000

export interface Opened {
  readonly store: Store
  /** Another Store object on the same state; for memory, which cannot be shared, the same one. */
  readonly twin: Store
  /** Lets this many milliseconds pass. */
  pass(milliseconds: number): Promise<void>
}

export const storeRules: Readonly<Record<string, (t: Test, opened: Opened) => Promise<void>>> = {
  async 'a record is the last written value, for every reader, until it is deleted'(t, { store, twin }) {
    t.equal(await store.get('a'), undefined)
    await store.set('a', 'one', HOUR)
    await store.set('b', 'other', HOUR)
    await twin.set('a', 'two', HOUR)
    t.equal(await store.get('a'), 'two')
    t.equal(await twin.delete('a'), true)
    t.equal(await twin.delete('a'), false)
    t.equal(await store.get('a'), undefined)
    t.equal(await store.get('b'), 'other')
  },

  async 'a record is gone when its time is over, for every operation'(t, { store, pass }) {
    const keys = ['get', 'delete', 'absent', 'swap', 'count']
    for (const key of keys) await store.set(key, '7', 1_500)
    await store.set('long', 'stays', HOUR)
    for (const key of keys) t.equal(await store.get(key), '7')
    await pass(1_500)
    t.equal(await store.get('get'), undefined)
    t.equal(await store.delete('delete'), false)
    t.equal(await store.compareAndSet('swap', '7', '8', HOUR), false)
    t.equal(await store.setIfAbsent('absent', 'new', HOUR), true)
    t.equal(await store.increment('count', HOUR), 1)
    t.equal(await store.get('absent'), 'new')
    t.equal(await store.get('long'), 'stays')
  },

  async 'another write restarts the time of a record'(t, { store, pass }) {
    for (const key of ['set', 'swap']) await store.set(key, 'a', 2_000)
    await pass(1_200)
    await store.set('set', 'b', 2_000)
    t.equal(await store.compareAndSet('swap', 'a', 'b', 2_000), true)
    await pass(1_200)
    t.equal(await store.get('set'), 'b')
    t.equal(await store.get('swap'), 'b')
  },

  async 'a TTL below a millisecond is one millisecond, a fraction is rounded up, a century fits'(t, { store, pass }) {
    await store.set('short', 'x', 0.2)
    await store.set('fraction', 'x', 1_000.7)
    await store.set('century', 'x', 100 * 365 * 24 * HOUR)
    await store.appendFeed('x', 1_000.7)
    t.equal(await store.setIfAbsent('also short', 'x', 0.2), true)
    await pass(2)
    t.equal(await store.get('short'), undefined)
    t.equal(await store.get('also short'), undefined)
    t.equal(await store.get('fraction'), 'x')
    t.equal(await store.get('century'), 'x')
  },

  async 'of 50 racing setIfAbsent exactly one wins, and its value stays'(t, { store, twin }) {
    const racers = Array.from({ length: 50 }, (_, index) => index)
    const won = await Promise.all(
      racers.map((index) => (index % 2 ? store : twin).setIfAbsent('race', `value ${index}`, HOUR))
    )
    t.equal(won.filter(Boolean).length, 1)
    t.equal(await store.get('race'), `value ${won.indexOf(true)}`)
    t.equal(await store.setIfAbsent('race', 'late', HOUR), false)
    await store.delete('race')
    t.equal(await store.setIfAbsent('race', 'late', HOUR), true)
  },

  async 'compareAndSet replaces exactly these bytes and nothing else'(t, { store, twin }) {
    await store.set('a', '{"n":1}', HOUR)
    for (const wrong of ['{"n":1} ', '{"N":1}', '{"n": 1}', '', '{"n":1}\0', '1'])
      t.equal(await twin.compareAndSet('a', wrong, 'lost', HOUR), false)
    t.equal(await twin.compareAndSet('none', '', 'lost', HOUR), false)
    t.equal(await store.get('none'), undefined)
    t.equal(await twin.compareAndSet('a', '{"n":1}', '{"n":2}', HOUR), true)
    t.equal(await store.get('a'), '{"n":2}')
    await store.set('number', '01', HOUR)
    t.equal(await store.compareAndSet('number', '1', 'lost', HOUR), false)
    t.equal(await store.get('number'), '01')
  },

  async 'of 50 racing compareAndSet exactly one wins'(t, { store, twin }) {
    await store.set('race', 'start', HOUR)
    const won = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        (index % 2 ? store : twin).compareAndSet('race', 'start', `${index}`, HOUR)
      )
    )
    t.equal(won.filter(Boolean).length, 1)
    t.equal(await store.get('race'), `${won.indexOf(true)}`)
  },

  async 'increment counts in a window that the first call opens and later calls do not prolong'(
    t,
    { store, twin, pass }
  ) {
    const counts = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? store : twin).increment('hits', 1_500))
    )
    t.strictSame(
      counts.toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, index) => index + 1)
    )
    await pass(900)
    t.equal(await store.increment('hits', 1_500), 21)
    await pass(650)
    t.equal(await store.increment('hits', 1_500), 1)
    t.equal(await twin.get('hits'), '1')
  },

  async 'values come back unchanged: empty, Chinese, emoji, control characters, 1 MiB'(t, { store, twin }) {
    const values = [
      '',
      ' ',
      'null',
      ':x',
      '登录成功 ✓',
      '😀👨‍👩‍👧',
      'a\0b\n\r\t"\\',
      '{"value":"x","expires":1}',
      'x'.repeat(2 ** 20)
    ]
    for (const value of values) {
      await store.set('value', value, HOUR)
      t.ok((await twin.get('value')) === value, 'get')
      t.equal(await twin.compareAndSet('value', value, 'changed', HOUR), true, 'compareAndSet')
      await twin.set('value', value, HOUR)
      await store.delete('value')
      t.equal(await store.setIfAbsent('value', value, HOUR), true, 'setIfAbsent')
      t.ok((await twin.get('value')) === value, 'get again')
    }
  },

  async "keys that look alike, look odd or look like the store's own are different keys"(t, { store, twin }) {
    const keys = [
      'a',
      'A',
      'a ',
      'a\0',
      'a:b',
      'a::b',
      'feed',
      'r:feed',
      'keyv:a',
      '*',
      '{a}',
      '{',
      "a'; --",
      '键',
      '%00',
      '',
      '\n'
    ]
    keys.push('k'.repeat(1_000), '__proto__', 'constructor')
    for (const key of keys) await store.set(key, `at ${key}`, HOUR)
    await store.appendFeed('entry', HOUR)
    for (const key of keys) t.equal(await twin.get(key), `at ${key}`)
    for (const key of keys) t.equal(await twin.delete(key), true)
    for (const key of keys) t.equal(await twin.get(key), undefined)
  },

  async 'the feed is read whole and in order, page by page, by any number of readers'(t, { store, twin }) {
    t.strictSame((await store.readFeed('', 10)).entries, [])
    const all = Array.from({ length: 25 }, (_, index) => `entry ${index}`)
    for (const [index, entry] of all.entries()) await (index % 2 ? store : twin).appendFeed(entry, HOUR)
    const sizes: number[] = []
    for (const reader of [store, twin]) {
      const seen: string[] = []
      let cursor = ''
      for (;;) {
        const page = await reader.readFeed(cursor, 10)
        seen.push(...page.entries)
        sizes.push(page.entries.length)
        cursor = page.cursor
        if (page.entries.length < 10) break
      }
      t.strictSame(seen, all)
      t.strictSame((await reader.readFeed(cursor, 10)).entries, [])
    }
    t.strictSame(sizes, [10, 10, 5, 10, 10, 5])
  },

  async 'an appended entry is seen by every readFeed that begins later, also by one that read an empty feed'(
    t,
    { store, twin }
  ) {
    let { cursor } = await twin.readFeed('', 5)
    for (let index = 0; index < 20; index++) {
      await store.appendFeed(`entry ${index}`, HOUR)
      const page = await twin.readFeed(cursor, 5)
      t.strictSame(page.entries, [`entry ${index}`])
      cursor = page.cursor
    }
  },

  async 'expired entries leave the feed, live ones before and after them stay, and pages stay full'(
    t,
    { store, pass }
  ) {
    await store.appendFeed('long first', HOUR)
    for (let index = 0; index < 30; index++) await store.appendFeed(`short ${index}`, 1_500)
    for (let index = 0; index < 4; index++) await store.appendFeed(`long ${index}`, HOUR)
    const before = await store.readFeed('', 3)
    await pass(1_510)
    t.strictSame((await store.readFeed('', 3)).entries, ['long first', 'long 0', 'long 1'])
    t.strictSame((await store.readFeed(before.cursor, 3)).entries, ['long 0', 'long 1', 'long 2'])
    await store.appendFeed('last', HOUR)
    t.strictSame((await store.readFeed('', 10)).entries, ['long first', 'long 0', 'long 1', 'long 2', 'long 3', 'last'])
  },

  async 'a short-lived entry does not remove a long-lived one'(t, { store, pass }) {
    await store.appendFeed('long', HOUR)
    await store.appendFeed('short', 30)
    await pass(40)
    t.strictSame((await store.readFeed('', 10)).entries, ['long'])
  },

  async 'a cursor outlives the entries before it'(t, { store, pass }) {
    for (let index = 0; index < 60; index++) await store.appendFeed(`short ${index}`, 1_500)
    const { cursor } = await store.readFeed('', 100)
    await pass(1_510)
    t.strictSame((await store.readFeed(cursor, 10)).entries, [])
    await store.appendFeed('next', HOUR)
    t.strictSame((await store.readFeed(cursor, 10)).entries, ['next'])
    t.strictSame((await store.readFeed('', 10)).entries, ['next'])
  },

  async 'a scan gives every live key with the prefix, page by page, and no other'(t, { store, twin, pass }) {
    const wanted = Array.from({ length: 250 }, (_, index) => `user:${index}`).sort()
    for (const key of wanted) await store.set(key, 'x', HOUR)
    for (const key of ['user', 'user;', 'users:1', 'union:1', 'USER:1', 'ser:1', 'user*1'])
      await store.set(key, 'x', HOUR)
    await store.set('user:expired', 'x', 1)
    await pass(5)
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const page: { keys: readonly string[]; cursor: string | null } = await twin.scan('user:', cursor, 100)
      seen.push(...page.keys)
      cursor = page.cursor
    }
    t.strictSame([...new Set(seen)].sort(), wanted)
    await store.set('a[b]*?:1', 'x', HOUR)
    t.strictSame((await twin.scan('a[b]*?:', '', 1_000)).keys.slice(0, 1), ['a[b]*?:1'])
    t.strictSame((await twin.scan('none:', '', 1_000)).keys, [])
  },

  async 'a closed store refuses everything'(t, { store, twin }) {
    await store.set('a', 'x', HOUR)
    await twin.close()
    await twin.close()
    const calls: (() => Promise<unknown>)[] = [
      () => twin.get('a'),
      () => twin.set('a', 'y', HOUR),
      () => twin.delete('a'),
      () => twin.setIfAbsent('a', 'y', HOUR),
      () => twin.compareAndSet('a', 'x', 'y', HOUR),
      () => twin.increment('n', HOUR),
      () => twin.appendFeed('a', HOUR),
      () => twin.readFeed('', 1),
      () => twin.scan('', '', 1)
    ]
    for (const call of calls) await t.rejects(call(), { name: 'StoreError', message: 'the store is closed' })
    if (store !== twin) t.equal(await store.get('a'), 'x')
  }
}
