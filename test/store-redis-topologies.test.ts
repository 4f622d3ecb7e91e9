/** Redis with TLS, behind Sentinel, and as a Cluster: the same store, found in another way. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { openStore } from '../src/store/open.ts'
import type { Store } from '../src/store/port.ts'
import { createTestClock } from './support/clock.ts'
import { listen } from './support/listen.ts'
import { freePort } from './support/process.ts'
import { askRedis, startRedis, startSentinel } from './support/redis.ts'
import { quietLog } from './support/store.ts'
import { TIMEOUT } from './support/store-trouble.ts'
import { until } from './support/until.ts'

const HOUR = 3_600_000

async function open(t: Test, url: string): Promise<Store> {
  const store = await openStore(url, { clock: createTestClock(), log: quietLog(), timeout: TIMEOUT })
  t.teardown(() => store.close())
  return store
}

/** Every kind of operation once, over enough keys to meet every node of a cluster. */
async function assertWorks(t: Test, store: Store): Promise<void> {
  const keys = Array.from({ length: 20 }, (_, index) => `{${index}}${Math.random()}`)
  await Promise.all(keys.map((key) => store.set(key, key, HOUR)))
  t.strictSame(await Promise.all(keys.map((key) => store.get(key))), keys)
  t.ok((await Promise.all(keys.map((key) => store.compareAndSet(key, key, 'new', HOUR)))).every(Boolean))
  t.ok((await Promise.all(keys.map((key) => store.delete(key)))).every(Boolean))
  t.ok((await Promise.all(keys.map((key) => store.increment(key, HOUR)))).every((count) => count === 1))
  t.notOk((await Promise.all(keys.map((key) => store.setIfAbsent(key, 'x', HOUR)))).some(Boolean))
  t.ok((await Promise.all(keys.map((key) => store.delete(key)))).every(Boolean))
  const { cursor } = await store.readFeed('', 100)
  await store.appendFeed(keys[0] ?? '', HOUR)
  t.strictSame((await store.readFeed(cursor, 100)).entries, [keys[0]])
  await store.get('a')
}

const succeeds = (work: Promise<unknown>): Promise<boolean> =>
  work.then(
    () => true,
    () => false
  )

test('rediss:// verifies the certificate of the server', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const request = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout ${key} -out ${certificate}`
  const made = spawnSync('openssl', request.split(/\s+/))
  if (made.error || made.status !== 0) {
    if (process.env.CI) t.fail('openssl is not installed')
    else t.comment('NOT TESTED: openssl is not installed')
    return
  }
  const port = await freePort()
  const tls = [
    '--tls-port',
    `${port}`,
    '--tls-cert-file',
    certificate,
    '--tls-key-file',
    key,
    '--tls-auth-clients',
    'no'
  ]
  const server = await startRedis(t, ...tls)
  if (!server) return
  await assertWorks(t, await open(t, `rediss://127.0.0.1:${port}?ca=${encodeURIComponent(certificate)}`))
  await assertWorks(t, await open(t, `rediss://localhost:${port}/2?ca=${encodeURIComponent(certificate)}`))
  const untrusted = await open(t, `rediss://127.0.0.1:${port}`)
  await t.rejects(untrusted.get('a'), { name: 'StoreError', message: /DEPTH_ZERO_SELF_SIGNED_CERT/ })
  const plain = await open(t, `rediss://127.0.0.1:${server.port}`)
  await t.rejects(plain.get('a'), { name: 'StoreError', message: /cannot be reached/ })
  const missing = await open(t, `rediss://127.0.0.1:${port}?ca=/does/not/exist`)
  await t.rejects(missing.get('a'), { name: 'StoreError', message: /ENOENT/ })
})

test('redis+sentinel:// finds the master, and the new one after a failover', async (t) => {
  const first = await startRedis(t, '--repl-diskless-sync-delay', '0')
  const second = await startRedis(t)
  if (!first || !second) return
  await askRedis(second.port, `REPLICAOF 127.0.0.1 ${first.port}`)
  await until(async () => /master_link_status:up/.test(await askRedis(second.port, 'INFO replication')))
  const sentinel = await startSentinel(t, first)
  await until(async () => (await askRedis(sentinel.port, 'SENTINEL REPLICAS wx')).includes(`${second.port}`))
  // The first sentinel is down: the next is asked.
  const nobody = await freePort()
  const store = await open(t, `redis+sentinel://127.0.0.1:${nobody},127.0.0.1:${sentinel.port}?name=wx`)
  await assertWorks(t, store)
  await store.set('kept', 'x', HOUR)
  await store.appendFeed('before', HOUR)
  const { cursor } = await store.readFeed('', 100)
  await until(async () => (await askRedis(second.port, 'GET wxgate:r:kept')).includes('x'))

  await first.kill()
  const started = performance.now()
  // The answer to a write can be late although it was carried out: the same write is repeated.
  await until(() => succeeds(store.set('after', 'x', HOUR)))
  t.comment(`failover took ${Math.round(performance.now() - started)} ms`)
  t.equal(await store.get('kept'), 'x')
  t.equal(await askRedis(second.port, 'GET wxgate:r:after'), '$1\r\nx\r\n')
  await store.appendFeed('after', HOUR)
  t.ok((await store.readFeed(cursor, 100)).entries.includes('after'))

  // The rights of docs/operations.md.
  await askRedis(second.port, 'ACL SETUSER gate on >s3same ~wxgate:* +@all -@dangerous +info')
  await assertWorks(t, await open(t, `redis+sentinel://gate:s3same@127.0.0.1:${sentinel.port}?name=wx`))
  await askRedis(second.port, 'ACL SETUSER gate -info')
  const refused = await open(t, `redis+sentinel://gate:s3same@127.0.0.1:${sentinel.port}?name=wx`)
  await t.rejects(refused.get('a'), {
    name: 'StoreError',
    message: /does not allow this user the commands that wxgate needs/
  })

  const unknown = await open(t, `redis+sentinel://127.0.0.1:${sentinel.port}?name=other`)
  await t.rejects(unknown.get('a'), { name: 'StoreError', message: /cannot be reached/ })
})

test('a master that dies during the INFO query costs one attempt, not the process', async (t) => {
  let asked = 0
  const master = await startTalker(t, (command, socket) => {
    if (command.includes('INFO\r\n')) {
      asked++
      socket.destroy()
    } else socket.write('+OK\r\n')
  })
  const sentinel = await startTalker(t, (command, socket) => {
    const address = `*2\r\n$9\r\n127.0.0.1\r\n$${String(master).length}\r\n${master}\r\n`
    socket.write(command.includes('GET-MASTER-ADDR-BY-NAME') ? address : '+OK\r\n')
  })
  const store = await open(t, `redis+sentinel://127.0.0.1:${sentinel}?name=wx`)
  await t.rejects(store.get('a'), { name: 'StoreError', message: /cannot be reached/ })
  await until(() => asked > 2)
})

/** Answers every command of the protocol by the function; returns the port. */
async function startTalker(t: Test, answer: (command: string, socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      for (const command of `${data}`.split(/(?=^\*\d+\r\n)/m)) answer(command, socket)
    })
  })
  return listen(t, server)
}

test('redis+cluster:// spreads the keys over all nodes, and one lost node fails only its own', async (t) => {
  const settings = [
    '--cluster-enabled',
    'yes',
    '--cluster-require-full-coverage',
    'no',
    '--cluster-node-timeout',
    '20000'
  ]
  const first = await startRedis(t, ...settings)
  const second = await startRedis(t, ...settings)
  if (!first || !second) return
  await askRedis(first.port, 'CLUSTER ADDSLOTSRANGE 0 8191')
  await askRedis(second.port, 'CLUSTER ADDSLOTSRANGE 8192 16383')
  await askRedis(second.port, 'CLUSTER SET-CONFIG-EPOCH 2')
  await askRedis(first.port, `CLUSTER MEET 127.0.0.1 ${second.port}`)
  for (const { port } of [first, second])
    await until(async () => {
      const info = await askRedis(port, 'CLUSTER INFO')
      return info.includes('cluster_state:ok') && info.includes('cluster_slots_ok:16384')
    })

  const store = await open(t, `redis+cluster://127.0.0.1:${await freePort()},127.0.0.1:${first.port}`)
  await assertWorks(t, store)
  const keys = Array.from({ length: 40 }, (_, index) => `key ${index}`)
  for (const key of keys) await store.set(key, key, HOUR)
  const counts = await Promise.all(
    [first, second].map(async ({ port }) => Number((await askRedis(port, 'DBSIZE')).slice(1)))
  )
  t.ok(Math.min(...counts) > 5, `keys per node: ${counts.join(', ')}`)

  const pointed = await open(t, first.url)
  const mistaken = await Promise.allSettled(keys.map((key) => pointed.get(key)))
  t.ok(mistaken.some((result) => result.status === 'rejected' && /use redis\+cluster/.test(String(result.reason))))

  await second.kill()
  const found = await Promise.allSettled(keys.map((key) => store.get(key)))
  const alive = found.filter((result) => result.status === 'fulfilled').length
  t.ok(alive > 5 && alive < keys.length, `${alive} of ${keys.length} keys can still be read`)
  for (const result of found)
    if (result.status === 'rejected')
      t.match(result.reason, { name: 'StoreError', message: /cannot be reached|did not answer/ })
  await second.start()
  await until(() => succeeds(Promise.all(keys.map((key) => store.set(key, 'again', HOUR)))))
  await assertWorks(t, store)
})
