/** A failing Redis is an error within the deadline, never a wait and never a wrong answer, and
 *  the store recovers by itself. */
import { createServer } from 'node:net'
import { t as tap, test } from 'tap'
import { startChaosProxy } from './support/chaos-proxy.ts'
import { listen } from './support/listen.ts'
import { askRedis, startRedis } from './support/redis.ts'
import { assertAway, openImpatiently as open, untilBack, untilUnreachable } from './support/store-trouble.ts'
import { until } from './support/until.ts'

const HOUR = 3_600_000

// Most of the time is spent waiting for deadlines.
tap.jobs = 4

test('without a server opening does not wait, operations fail at once, and the store is there when the server is', {
  buffered: true
}, async (t) => {
  const server = await startRedis(t, '--user', 'me', 'on', '>hunter2', '~*', '+@all')
  if (!server) return
  await server.kill()
  const { store, log } = await open(t, `redis://me:hunter2@127.0.0.1:${server.port}`)
  await assertAway(t, store, /127\.0\.0\.1:\d+\) cannot be reached \(ECONNREFUSED\)/)
  await server.start()
  await untilBack(store)
  await store.set('a', 'x', HOUR)
  t.equal(await store.get('a'), 'x')
  t.equal(log.lines.length, 2, 'one line at the failure, one at the recovery')
  t.notMatch(log.lines.join('\n'), 'hunter2')
})

test('a stopped server (SIGSTOP) is a StoreError within the deadline, again and again, and recovers when it goes on', {
  buffered: true
}, async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { store } = await open(t, server.url)
  await store.set('before', 'x', HOUR)
  server.pause()
  await assertAway(t, store, /did not answer within 1500 ms|cannot be reached/)
  await assertAway(t, store, /did not answer within 1500 ms|cannot be reached/)
  server.resume()
  await untilBack(store)
  t.equal(await store.get('before'), 'x')
})

test('a killed server fails running and new operations, and is found again on the same port', {
  buffered: true
}, async (t) => {
  const server = await startRedis(t, '--appendonly', 'yes', '--appendfsync', 'always')
  if (!server) return
  const { store, log } = await open(t, server.url)
  await store.set('kept', 'x', HOUR)
  await store.appendFeed('one', HOUR)
  const { cursor } = await store.readFeed('', 10)
  server.pause()
  const underWay = t.rejects(store.get('kept'), { name: 'StoreError' })
  await server.kill()
  await underWay
  await untilUnreachable(store)
  await assertAway(t, store, /cannot be reached/)
  await server.start()
  await untilBack(store)
  t.equal(await store.get('kept'), 'x', 'an acknowledged record has survived')
  t.equal(await store.compareAndSet('kept', 'x', 'y', HOUR), true, 'scripts are known again')
  await store.appendFeed('two', HOUR)
  t.ok((await store.readFeed(cursor, 10)).entries.includes('two'))
  t.equal(log.lines.length, 2)
})

test('a feed survives a server that comes back empty, with an older clock, or was wiped', {
  buffered: true
}, async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { store } = await open(t, server.url)
  const other = await open(t, server.url)
  await store.appendFeed('one', HOUR)
  let { cursor } = await store.readFeed('', 10)
  const next = async () => {
    const page = await store.readFeed(cursor, 10)
    cursor = page.cursor
    return page.entries
  }

  await server.kill()
  await server.start()
  await untilBack(store)
  await untilBack(other.store)
  await other.store.appendFeed('two', HOUR)
  t.strictSame(await next(), ['two'], 'restarted empty')
  t.strictSame(await next(), [])

  await askRedis(server.port, 'FLUSHALL')
  t.strictSame(await next(), [])
  await other.store.appendFeed('three', HOUR)
  t.strictSame(await next(), ['three'], 'wiped')

  await askRedis(server.port, 'DEL wxgate:feed')
  await askRedis(server.port, 'XADD wxgate:feed 5-1 v four t 9000000000000')
  t.strictSame(await next(), ['four'], 'before the place of the reader')
  t.strictSame(await next(), [])

  await other.store.appendFeed('five', HOUR)
  t.strictSame(await next(), ['five'])
  await askRedis(server.port, 'CLIENT KILL TYPE normal')
  await askRedis(server.port, 'DEL wxgate:feed')
  await askRedis(server.port, 'XADD wxgate:feed 6-1 v six t 9000000000000')
  await askRedis(server.port, `XADD wxgate:feed ${Date.now() + HOUR}-1 v seven t 9000000000000`)
  t.strictSame(
    await next(),
    ['six', 'seven'],
    'a new connection may lead to a server that lags: the feed is read again'
  )
  t.strictSame(await next(), [])
})

test('a master that became a replica is replaced by the current one of its name', { buffered: true }, async (t) => {
  const first = await startRedis(t)
  const second = await startRedis(t)
  if (!first || !second) return
  const proxy = await startChaosProxy(t, first.port)
  const { store } = await open(t, `redis://127.0.0.1:${proxy.port}`)
  await store.set('a', 'x', HOUR)
  await askRedis(first.port, `REPLICAOF 127.0.0.1 ${second.port}`)
  proxy.targetPort = second.port
  await t.rejects(store.set('a', 'y', HOUR), { name: 'StoreError', message: /is a replica and refuses writes/ })
  await untilBack(store)
  await store.set('a', 'z', HOUR)
  t.equal(await askRedis(second.port, 'GET wxgate:r:a'), '$1\r\nz\r\n')
})

test('a dropped connection is replaced before the caller notices', { buffered: true }, async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { store, log } = await open(t, server.url)
  for (let round = 0; round < 5; round++) {
    await askRedis(server.port, 'CLIENT KILL TYPE normal')
    // The connection of the question and a new one of the store.
    await until(async () => /connected_clients:2\r/.test(await askRedis(server.port, 'INFO clients')))
    await store.set('round', `${round}`, HOUR)
    t.equal(await store.get('round'), `${round}`)
  }
  t.strictSame(log.lines, [])
})

test('a server that accepts and never answers delays no caller beyond the deadline', { buffered: true }, async (t) => {
  const hole = createServer((socket) => socket.on('error', () => undefined))
  const { store } = await open(t, `redis://127.0.0.1:${await listen(t, hole)}`)
  await assertAway(t, store, /did not answer within 1500 ms|cannot be reached/)
  await untilUnreachable(store)
  await assertAway(t, store, /cannot be reached/)
  await store.close()
})

test('a connection that goes silent in the middle is replaced', { buffered: true }, async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const proxy = await startChaosProxy(t, server.port)
  const { store } = await open(t, `redis://127.0.0.1:${proxy.port}`)
  await store.set('a', 'x', HOUR)
  proxy.mode = { kind: 'blackHole' }
  await assertAway(t, store, /did not answer within 1500 ms|cannot be reached/)
  proxy.mode = { kind: 'none' }
  await untilBack(store)
  t.equal(await store.get('a'), 'x')
})

test('a slow server is used while it keeps the deadline, and many operations share its round trips', {
  buffered: true
}, async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const proxy = await startChaosProxy(t, server.port)
  const { store } = await open(t, `redis://127.0.0.1:${proxy.port}`, 3_000)
  proxy.mode = { kind: 'latency', ms: 60 }
  // One after the other they would miss their deadlines.
  const values = await Promise.all(Array.from({ length: 300 }, (_, index) => store.increment(`n${index % 3}`, HOUR)))
  t.equal(Math.max(...values), 100)
  proxy.mode = { kind: 'latency', ms: 3_500 }
  await assertAway(t, store, /did not answer within 3000 ms|cannot be reached/)
  proxy.mode = { kind: 'none' }
  await untilBack(store)
})
