/** Paths that a lenient server could read as another route must satisfy the stricter one. */
import { test } from 'tap'
import type { RouteConfig } from '../../src/config/config.ts'
import { canonicalPath, PathRefusal } from '../../src/http/path/canonical-path.ts'
import { createRouteTable } from '../../src/routing/route-table.ts'
import { NOTHING_ALLOWED, route } from '../support/route-tables.ts'

function verdict(routes: readonly RouteConfig[], target: string, method = 'GET'): string {
  const path = canonicalPath(target)
  if (path instanceof PathRefusal) return 'refused'
  const match = createRouteTable(routes).match(method, path)
  return match.kind === 'route' ? match.route.path : match.kind
}

const publicSite = (allow: Partial<RouteConfig['allow']> = {}) =>
  route('/', { auth: 'public', allow: { ...NOTHING_ALLOWED, ...allow } })

test('a path with an extension must satisfy the stricter route without it', (t) => {
  const routes = [route('/admin'), publicSite()]
  for (const target of ['/admin.json', '/admin.xml', '/ADMIN.json', '/admin.min.js', '/admin.json/', '/%61dmin.php3']) {
    t.equal(verdict(routes, target), 'guarded', target)
  }
  for (const target of ['/logo.png', '/v1.0/admins', '/x/admin.json', '/.admin', '/admins.json', '/robots.txt']) {
    t.equal(verdict(routes, target), '/', target)
  }
  t.equal(verdict(routes, '/admin/list.json'), '/admin')
  const exception = [route('/openapi.json', { auth: 'public' }), route('/')]
  t.equal(verdict(exception, '/openapi.json'), '/openapi.json', 'a route may name an extension')
  t.end()
})

test('allow.suffix leaves a path with an extension to its own route', (t) => {
  t.equal(verdict([route('/admin'), publicSite({ suffix: true })], '/admin.json'), '/')
  t.equal(verdict([route('/admin'), publicSite({ suffix: true })], '/index.php/admin'), 'guarded')
  t.end()
})

test('a path behind a PHP script must satisfy the stricter route of that path', (t) => {
  const routes = [route('/admin'), publicSite()]
  for (const target of [
    '/index.php/admin',
    '/INDEX.PHP/Admin/x',
    '/app/index.php/admin',
    '/i.php7/admin.json',
    '/a.phtml/admin'
  ]) {
    t.equal(verdict(routes, target), 'guarded', target)
  }
  for (const target of ['/index.php', '/index.php/', '/index.php/home', '/php/admin'])
    t.equal(verdict(routes, target), '/', target)
  t.equal(verdict([route('/admin'), publicSite({ scriptName: true })], '/index.php/admin'), '/')
  t.end()
})

test('every property that protects a route counts for a lenient reading of its path', (t) => {
  const open = route('/', { auth: 'public', bodyLimit: 1_000 })
  const protecting: Partial<RouteConfig>[] = [
    { openData: true },
    { bodyLimit: 10 },
    { rateLimit: { max: 1, window: 1_000, by: 'ip' } },
    { auth: 'optional' },
    { channel: true },
    { concurrency: 5 },
    { ip: { allow: ['10.0.0.0/8'], deny: [] } },
    { maintenance: { retryAfter: 1_000, allow: [] } },
    { cors: { origins: ['https://a'], headers: [], exposeHeaders: [], credentials: false, maxAge: 0 } }
  ]
  for (const settings of protecting) {
    const routes = [route('/pay', { auth: 'public', ...settings }), open]
    t.equal(verdict(routes, '/PAY'), 'guarded', JSON.stringify(settings))
    t.equal(verdict(routes, '/pay'), '/pay')
  }
  t.equal(
    verdict([route('/pay', { auth: 'public', bodyLimit: 5_000 }), open], '/PAY'),
    '/',
    'a larger limit protects nothing'
  )
  const ip = { allow: [], deny: ['192.0.2.1'] }
  const limited = route('/', { auth: 'public', ip, concurrency: 5 })
  t.equal(verdict([route('/pay', { auth: 'public', ip, concurrency: 10 }), limited], '/PAY'), '/', 'equally strict')
  t.equal(verdict([route('/pay', { auth: 'public', ip, concurrency: 3 }), limited], '/PAY'), 'guarded')
  t.end()
})

test('the rest of a path after a stripped prefix starts with a slash, or the path is refused', (t) => {
  const lenient = { ...NOTHING_ALLOWED, matrixParams: true }
  const routes = [route('/p', { stripPrefix: '/p', allow: lenient })]
  for (const target of ['/p;@evil.com/y', '/p;x', '/p;/y', '/p%3B@evil.com'])
    t.equal(verdict(routes, target), 'ambiguous', target)
  for (const target of ['/p', '/p/', '/p/y;v=1', '/p/y;v=1/z']) t.equal(verdict(routes, target), '/p', target)
  t.end()
})

test('percent-encoded bytes that are not UTF-8 need allow.rawPercent', (t) => {
  const target = '/%D6%D0/%CE%C4.html'
  t.equal(verdict([publicSite()], target), 'ambiguous')
  t.equal(verdict([publicSite({ rawPercent: true })], target), '/')
  t.equal(verdict([publicSite({ rawPercent: true }), route('/admin')], target), '/')
  for (const overlong of ['/%C0%AFadmin', '/x%C0%AE%C0%AE', '/x%E0%80%AFy', '/%C1%9Cx', '/x%C0%BBy']) {
    t.equal(verdict([publicSite({ rawPercent: true })], overlong), 'refused', overlong)
  }
  t.end()
})

test('a path with more segments than any route needs is refused when its segments have to be decoded', (t) => {
  const routes = [route('/admin'), publicSite()]
  t.equal(verdict(routes, `/${'%E2%84%AA/'.repeat(101)}`), 'ambiguous')
  t.equal(verdict(routes, `/${'%E2%84%AA/'.repeat(50)}`), '/')
  t.equal(verdict(routes, `/${'a/'.repeat(2_000)}`), '/')
  t.end()
})
