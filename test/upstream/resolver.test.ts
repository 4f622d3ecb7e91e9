/** Name resolution. */
import type { LookupAddress } from 'node:dns'
import { writeFileSync } from 'node:fs'
import type { LookupFunction } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { candidatesOf, readHosts, readSearchRules } from '../../src/upstream/hosts-file.ts'
import { createLookup } from '../../src/upstream/resolver.ts'
import { createTestClock } from '../support/clock.ts'
import { startNameServer, type Zone } from '../support/name-server.ts'
import { until } from '../support/until.ts'

interface Files {
  readonly hosts?: string
  readonly resolv?: string
}

async function setup(t: Test, zone: Zone, files: Files = {}) {
  const server = await startNameServer(t, zone)
  const folder = t.testdir({ hosts: files.hosts ?? '', 'resolv.conf': files.resolv ?? '' })
  const clock = createTestClock()
  const lookup = createLookup({
    clock,
    servers: [server.address],
    hostsFile: join(folder, 'hosts'),
    resolvFile: join(folder, 'resolv.conf')
  })
  const find = (name: string, family: 0 | 4 | 6 = 0) => addressesOf(lookup, name, family)
  return { ...server, clock, lookup, find, folder }
}

function addressesOf(lookup: LookupFunction, name: string, family: 0 | 4 | 6 = 0): Promise<string[]> {
  return new Promise((resolve, reject) => {
    lookup(name, { all: true, family }, (error, addresses) => {
      if (error) reject(error)
      else resolve((addresses as LookupAddress[]).map(({ address }) => address))
    })
  })
}

test('an answer is kept for its time to live, and a name has one query at a time', async (t) => {
  const { find, asked, clock, zone } = await setup(t, {
    'orders.test': { addresses: ['10.0.0.1', '10.0.0.2'], ttl: 5 }
  })
  const answers = await Promise.all(Array.from({ length: 20 }, () => find('orders.test')))
  for (const answer of answers) t.same(answer.toSorted(), ['10.0.0.1', '10.0.0.2'])
  t.same(asked, ['orders.test'])
  clock.advance(4_000)
  await find('Orders.Test')
  t.equal(asked.length, 1)
  zone['orders.test'] = { addresses: ['10.0.0.3'], ttl: 5 }
  clock.advance(2_000)
  t.same((await find('orders.test')).length, 2, 'the old answer is used while a new one is awaited')
  await until(async () => (await find('orders.test'))[0] === '10.0.0.3')
  t.equal(asked.length, 2)
})

test('one name without an answer delays no other name', async (t) => {
  const { find } = await setup(t, { 'dead.test': 'silence', 'live.test': { addresses: ['10.0.0.1'], ttl: 5 } })
  let deadIsOver = false
  const dead = Promise.allSettled(Array.from({ length: 12 }, () => find('dead.test'))).then((results) => {
    deadIsOver = true
    return results
  })
  t.same(await find('live.test'), ['10.0.0.1'])
  t.equal(deadIsOver, false)
  for (const result of await dead) t.match(result, { status: 'rejected', reason: { code: 'ETIMEOUT' } })
})

test('a silent name server leaves the old address in use; a name that no longer exists does not', async (t) => {
  const { find, clock, zone, asked } = await setup(t, { 'orders.test': { addresses: ['10.0.0.1'], ttl: 1 } })
  t.same(await find('orders.test'), ['10.0.0.1'])
  zone['orders.test'] = 'silence'
  clock.advance(60_000)
  t.same(await find('orders.test'), ['10.0.0.1'])
  t.equal(asked.length, 1, 'the query follows the answer')
  const other = await setup(t, { 'orders.test': { addresses: ['10.0.0.1'], ttl: 1 } })
  await other.find('orders.test')
  delete other.zone['orders.test']
  other.clock.advance(1_500)
  await other.find('orders.test')
  await until(async () => (await other.find('orders.test').catch(() => null)) === null)
  await t.rejects(other.find('orders.test'), { code: 'ENOTFOUND' })
})

test('the hosts file comes first, and is read again', async (t) => {
  const { find, asked, clock, folder } = await setup(
    t,
    {},
    { hosts: '10.1.1.1 orders Orders.test # comment\n::2 orders\n' }
  )
  t.same(await find('orders'), ['10.1.1.1', '::2'])
  t.same(await find('orders', 6), ['::2'])
  t.same(await find('ORDERS.test', 4), ['10.1.1.1'])
  await t.rejects(find('orders.test', 6), { code: 'ENOTFOUND' })
  t.same(await find('localhost'), ['127.0.0.1', '::1'])
  t.same(asked, [])
  writeFileSync(join(folder, 'hosts'), '10.1.1.9 orders\n')
  clock.advance(2_000)
  await find('orders')
  await until(async () => (await find('orders'))[0] === '10.1.1.9')
})

test('search domains are tried in the order of resolv.conf', async (t) => {
  const resolv = 'search shop.svc.cluster.local cluster.local.\noptions ndots:2 timeout:1\n'
  const { find, asked } = await setup(t, { 'orders.cluster.local': { addresses: ['10.2.2.2'], ttl: 5 } }, { resolv })
  t.same(await find('orders'), ['10.2.2.2'])
  t.same(asked, ['orders.shop.svc.cluster.local', 'orders.cluster.local'])
  await t.rejects(find('unknown'), { code: 'ENOTFOUND' })
})

test('addresses need no query', async (t) => {
  const { find, asked } = await setup(t, {})
  t.same(await find('10.0.0.5'), ['10.0.0.5'])
  t.same(await find('::1'), ['::1'])
  t.same(asked, [])
})

test('the files are read as their manual pages specify', (t) => {
  t.same(
    [...readHosts('\n# all\n127.0.0.1\tlocalhost\n  10.0.0.1 a b#c\nnonsense\n')],
    [
      ['localhost', ['127.0.0.1']],
      ['a', ['10.0.0.1']],
      ['b', ['10.0.0.1']]
    ]
  )
  t.same(readSearchRules('domain old.test\nsearch a.test b.test. ; c\noptions ndots:5\n'), {
    search: ['a.test', 'b.test'],
    ndots: 5
  })
  t.same(readSearchRules('nameserver 10.0.0.1\n'), { search: [], ndots: 1 })
  const rules = { search: ['a.test'], ndots: 1 }
  t.same(candidatesOf('x', rules), ['x.a.test', 'x'])
  t.same(candidatesOf('x.y', rules), ['x.y', 'x.y.a.test'])
  t.same(candidatesOf('x.', rules), ['x'])
  t.end()
})
