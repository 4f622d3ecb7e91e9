import { test } from 'tap'
import { systemClock } from '../src/clock.ts'
import { openStore } from '../src/store/open.ts'
import type { Store } from '../src/store/port.ts'
import { APP_SECRET, APPID, buildTestGateway, OTHER_APPID } from './support/gateway.ts'
import { quietLog } from './support/store.ts'
import { startUpstream } from './support/upstream.ts'

/** Counts calls and round trips: calls of one turn of the event loop travel together. */
function countTrips(store: Store): Store & { calls: number; trips: number; reset(): void } {
  let done = 0
  const counts = { calls: 0, trips: 0 }
  const counted = <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) => {
    return async (...args: Args): Promise<Result> => {
      const trip = done + 1
      counts.calls++
      counts.trips = Math.max(counts.trips, trip)
      // An answer comes in a later turn of the event loop, as from a server.
      await new Promise((resolve) => setImmediate(resolve))
      const result = await call(...args)
      done = Math.max(done, trip)
      return result
    }
  }
  return {
    get: counted((key: string) => store.get(key)),
    set: counted((key: string, value: string, ttl: number) => store.set(key, value, ttl)),
    delete: counted((key: string) => store.delete(key)),
    setIfAbsent: counted((key: string, value: string, ttl: number) => store.setIfAbsent(key, value, ttl)),
    compareAndSet: counted((key: string, expected: string, value: string, ttl: number) =>
      store.compareAndSet(key, expected, value, ttl)
    ),
    increment: counted((key: string, ttl: number) => store.increment(key, ttl)),
    // The feed is followed in the background, independent of requests.
    appendFeed: (value, ttl) => store.appendFeed(value, ttl),
    readFeed: (cursor, limit) => store.readFeed(cursor, limit),
    scan: (prefix, cursor, limit) => store.scan(prefix, cursor, limit),
    queue: store.queue,
    close: () => store.close(),
    get calls() {
      return counts.calls
    },
    get trips() {
      return counts.trips
    },
    reset() {
      done = 0
      counts.calls = 0
      counts.trips = 0
    }
  }
}

test('a login costs at most six round trips to the store, a proxied request none', async (t) => {
  const upstream = await startUpstream(t)
  const store = countTrips(await openStore('memory:', { clock: systemClock, log: quietLog() }))
  const gateway = await buildTestGateway(t, upstream.url, {
    store,
    config: {
      apps: [
        { appid: APPID, secret: APP_SECRET },
        { appid: OTHER_APPID, secret: APP_SECRET }
      ]
    }
  })
  const costOf = async (name: string, appid: string) => {
    store.reset()
    const login = await gateway.login(name, appid)
    t.equal(login.status, 200)
    t.ok(store.trips <= 6, `${store.trips} round trips (${store.calls} calls)`)
    return login
  }
  const { access_token: token } = await costOf('alice', APPID)
  await costOf('sandbox-alice-again', APPID)
  await costOf('alice', OTHER_APPID)

  store.reset()
  t.equal((await gateway.call('/api/x', { token })).status, 200)
  t.equal((await gateway.call('/api/y', { token })).status, 200)
  t.equal(store.calls, 0)
})
