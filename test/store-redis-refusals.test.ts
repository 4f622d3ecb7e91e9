/** A Redis that refuses: the error names the reason, and never the arguments. */
import { type Test, test } from 'tap'
import { askRedis, startRedis } from './support/redis.ts'
import { openImpatiently, untilBack } from './support/store-trouble.ts'
import { until } from './support/until.ts'

const HOUR = 3_600_000

/** A refusal comes at once; a busy machine takes its time to connect. */
const open = (t: Test, url: string) => openImpatiently(t, url, 10_000)

test('a server that refuses gives the reason, and no message or log line has the password or the user in it', async (t) => {
  const server = await startRedis(
    t,
    '--requirepass',
    'hunter2',
    '--user',
    'gate',
    'on',
    '>s3same',
    '~wxgate:*',
    '+@all'
  )
  if (!server) return
  const at = `127.0.0.1:${server.port}`
  const refused: [string, RegExp][] = [
    [`redis://${at}`, /requires a user and password/],
    [`redis://:hunter3@${at}`, /refuses the user or password/],
    [`redis://gate:hunter2@${at}`, /refuses the user or password/],
    [`redis://gate:s3same@${at}/?prefix=other:`, /does not allow this user/],
    [`redis://:hunter2@${at}/77`, /no database of this number/]
  ]
  for (const [url, message] of refused) {
    const { store, log } = await open(t, url)
    const error = await store.get('a').catch((error: unknown) => error)
    t.match(error, { name: 'StoreError', message })
    t.notMatch([String(error), ...log.lines].join('\n'), /hunter|s3same|gate:/)
  }
  for (const url of [`redis://:hunter2@${at}`, `redis://default:hunter2@${at}/3`, `redis://gate:s3same@${at}`]) {
    const { store } = await open(t, url)
    await store.set('a', url, HOUR)
    t.equal(await store.get('a'), url)
  }
})

test('a user needs only the rights that the documentation names', async (t) => {
  const rights = '+get +set +unlink +evalsha +eval +xinfo|stream +xrange +xadd +xtrim +pttl +pexpire +incr +time +ping'
  const server = await startRedis(t, '--user', 'gate', 'on', '>s3same', '~wxgate:*', ...rights.split(' '))
  if (!server) return
  const { store } = await open(t, `redis://gate:s3same@127.0.0.1:${server.port}`)
  await store.set('a', '1', HOUR)
  await store.compareAndSet('a', '1', '2', HOUR)
  await store.setIfAbsent('b', '1', HOUR)
  await store.delete('a')
  await store.increment('n', HOUR)
  for (let index = 0; index < 25; index++) await store.appendFeed('x', index < 24 ? 1 : HOUR)
  await until(async () => (await store.readFeed('', 30)).entries.length === 1)
  t.strictSame((await store.readFeed('', 10)).entries, ['x'])
})

test('a server that loads, is full, or is a replica is an error with that reason, until it recovers', async (t) => {
  const server = await startRedis(t)
  if (!server) return
  const { store } = await open(t, server.url)
  await Promise.all(Array.from({ length: 300 }, (_, index) => store.set(`k${index}`, 'x'.repeat(500), HOUR)))

  await askRedis(server.port, 'CONFIG SET maxmemory 1000')
  await t.rejects(store.set('a', 'x', HOUR), { name: 'StoreError', message: /is out of memory/ })
  t.equal(await store.get('k1'), 'x'.repeat(500), 'reading goes on')
  await askRedis(server.port, 'CONFIG SET maxmemory 0')
  await store.set('a', 'x', HOUR)

  await askRedis(server.port, 'REPLICAOF 127.0.0.1 1')
  await t.rejects(store.set('a', 'x', HOUR), { name: 'StoreError', message: /is a replica/ })
  await askRedis(server.port, 'REPLICAOF NO ONE')
  await untilBack(store)
  await store.set('a', 'y', HOUR)

  await askRedis(server.port, 'SAVE')
  await server.kill()
  await server.start('--key-load-delay', '3000', '--loading-process-events-interval-bytes', '1024')
  await until(() =>
    store.get('a').then(
      () => false,
      (error: Error) => error.message.includes('is still loading its data')
    )
  )
  await untilBack(store)
  t.equal(await store.get('a'), 'y')
})
