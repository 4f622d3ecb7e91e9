/** The parts of routing: the longest prefix, the method, the rate. */
import { test } from 'tap'
import type { RouteConfig } from '../../src/config/config.ts'
import { StoreError } from '../../src/errors.ts'
import { createPathEntry } from '../../src/routing/path-entry.ts'
import { createPrefixIndex } from '../../src/routing/prefix-index.ts'
import { createRateLimiter } from '../../src/routing/rate-limiter.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createFakeClock } from '../support/clock.ts'
import { quietLog } from '../support/store.ts'

test('the longest prefix that ends at a segment wins, and "/" takes the rest', async (t) => {
  const index = createPrefixIndex(new Map(['/', '/api', '/api/v1', '/apis'].map((path) => [path, path])))
  for (const [path, expected] of [
    ['/', '/'],
    ['/api', '/api'],
    ['/api/', '/api'],
    ['/api/v1', '/api/v1'],
    ['/api/v1/x', '/api/v1'],
    ['/api/v10', '/api'],
    ['/apis/x', '/apis'],
    ['/apix', '/']
  ] as const)
    t.equal(index.find(path), expected, path)
  t.equal(createPrefixIndex(new Map([['/api', 1]])).find('/other'), undefined, 'without a route for the rest')
})

test('a route that names the method wins over one for all methods, and GET takes HEAD', async (t) => {
  const route = (methods: string[] | null) => ({ methods }) as RouteConfig
  const [read, write, all] = [route(['GET']), route(['POST', 'PUT']), route(null)]
  const both = createPathEntry([read, write])
  t.equal(both.routeFor('HEAD'), read)
  t.equal(both.routeFor('PUT'), write)
  t.equal(both.routeFor('DELETE'), undefined)
  t.same(both.allow.split(', ').sort(), ['GET', 'HEAD', 'POST', 'PUT'])
  t.equal(createPathEntry([all, read]).routeFor('DELETE'), all)
  t.equal(createPathEntry([all, read]).routeFor('GET'), read)
  const own = route(['HEAD'])
  t.equal(createPathEntry([read, own]).routeFor('HEAD'), own)
})

test('a limit counts per key and window, says how long to wait, and asks the store no more once it is reached', async (t) => {
  const clock = createFakeClock()
  const memory = createMemoryStore({ clock, log: quietLog() })
  let counted = 0
  const store = {
    ...memory,
    increment(key: string, ttl: number) {
      counted++
      return memory.increment(key, ttl)
    }
  }
  const { hit } = createRateLimiter({ store, clock, name: 'test', max: 2, window: 60_000 })
  clock.advance(15_000)
  await hit('a')
  await hit('a')
  await t.rejects(hit('a'), { code: 'rate_limited', status: 429, headers: { 'retry-after': '45' } })
  await t.rejects(hit('a'), { code: 'rate_limited' })
  t.equal(counted, 3)
  await hit('b')
  clock.advance(45_000)
  await hit('a')
})

test('without a store a limit fails, or counts in the process where it may', async (t) => {
  const clock = createFakeClock()
  const store = {
    ...createMemoryStore({ clock, log: quietLog() }),
    increment: () => Promise.reject(new StoreError('away'))
  }
  const options = { store, clock, name: 'test', max: 1, window: 60_000 }
  await t.rejects(createRateLimiter(options).hit('a'), { message: 'away' })
  const { hit } = createRateLimiter({ ...options, isLenient: true })
  await hit('a')
  await t.rejects(hit('a'), { code: 'rate_limited' })
})
