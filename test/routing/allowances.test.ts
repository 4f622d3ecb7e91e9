import { test } from 'tap'
import type { RouteConfig } from '../../src/config/config.ts'
import { canonicalPath, PathRefusal } from '../../src/http/path/canonical-path.ts'
import { createRouteTable } from '../../src/routing/route-table.ts'
import { NOTHING_ALLOWED, route } from '../support/route-tables.ts'

const demanding = { auth: 'required' } as const
const open = { auth: 'public' } as const
const allowing = (allow: Partial<RouteConfig['allow']>) => ({
  allow: { ...NOTHING_ALLOWED, ...allow }
})

/** Path of the route that takes each target, or the kind of refusal. */
function verdicts(routes: readonly RouteConfig[], targets: readonly string[], method = 'GET'): Record<string, string> {
  const table = createRouteTable(routes)
  return Object.fromEntries(
    targets.map((target) => {
      const canonical = canonicalPath(target)
      if (canonical instanceof PathRefusal) return [target, 'refused']
      const match = table.match(method, canonical)
      return [target, match.kind === 'route' ? match.route.path : match.kind]
    })
  )
}

test('encodedSlash lets a slash inside a name pass on its own route, and on no other', (t) => {
  const routes = [
    route('/files', { ...open, ...allowing({ encodedSlash: true }) }),
    route('/files/private', demanding),
    route('/admin', demanding),
    route('/', open)
  ]
  t.same(
    verdicts(routes, [
      '/files/a%2Fb',
      '/files/a%2fb/c',
      '/files/%E5%BC%A0%2F1',
      '/files/private%2Fx',
      '/files/PRIVATE%2fx',
      '/files/a%2F..%2Fprivate',
      '/files/..%2Fadmin',
      '/files/%2Fadmin',
      '/files/a%2F%2Fb',
      '/files%2Fprivate',
      '/files%2Fa',
      '/admin%2Fx',
      '/x%2Fadmin',
      '/files/a%252Fb',
      '/files/a;b%2Fc',
      '/files/a%5Cb'
    ]),
    {
      '/files/a%2Fb': '/files',
      '/files/a%2fb/c': '/files',
      '/files/%E5%BC%A0%2F1': '/files',
      '/files/private%2Fx': 'ambiguous',
      '/files/PRIVATE%2fx': 'ambiguous',
      '/files/a%2F..%2Fprivate': 'ambiguous',
      '/files/..%2Fadmin': 'ambiguous',
      '/files/%2Fadmin': 'ambiguous',
      '/files/a%2F%2Fb': 'ambiguous',
      '/files%2Fprivate': 'ambiguous',
      '/files%2Fa': 'ambiguous',
      '/admin%2Fx': 'ambiguous',
      '/x%2Fadmin': 'ambiguous',
      '/files/a%252Fb': 'ambiguous',
      '/files/a;b%2Fc': 'ambiguous',
      '/files/a%5Cb': 'refused'
    }
  )
  t.end()
})

test('matrixParams lets parameters pass on its own route, and on no other', (t) => {
  const routes = [
    route('/cars', { ...open, ...allowing({ matrixParams: true }) }),
    route('/cars/secret', demanding),
    route('/', demanding)
  ]
  t.same(
    verdicts(routes, [
      '/cars/1;color=red',
      '/cars/1;color=red/doors;n=2',
      '/cars/secret;a/x',
      '/cars/secre;t/x',
      '/cars;a/x',
      '/cars;/../admin',
      '/cars/..;/admin',
      '/cars/;/admin',
      '/cars/x;a%2Fb',
      '/admin;x',
      '/cars/%3Bx',
      '/cars/x%3By'
    ]),
    {
      '/cars/1;color=red': '/cars',
      '/cars/1;color=red/doors;n=2': '/cars',
      '/cars/secret;a/x': 'ambiguous',
      '/cars/secre;t/x': '/cars',
      '/cars;a/x': 'ambiguous',
      '/cars;/../admin': 'refused',
      '/cars/..;/admin': 'refused',
      '/cars/;/admin': 'refused',
      '/cars/x;a%2Fb': 'ambiguous',
      '/admin;x': 'ambiguous',
      '/cars/%3Bx': 'refused',
      '/cars/x%3By': '/cars'
    }
  )
  t.end()
})

test('doubleEncoding lets a second layer pass on its own route, and on no other', (t) => {
  const routes = [
    route('/wiki', { ...open, ...allowing({ doubleEncoding: true }) }),
    route('/wiki/admin', demanding),
    route('/', demanding)
  ]
  t.same(
    verdicts(routes, [
      '/wiki/100%2541',
      '/wiki/what%3F',
      '/wiki/c%23',
      '/wiki/%2561dmin',
      '/wiki/%252561dmin',
      '/wiki/%2541DMIN',
      '/wiki/%252e%252e/admin',
      '/wiki/%252Fadmin',
      '/wiki/a%252Fb',
      '/wiki/admin%252Fb',
      '/wiki/%2561dmin/100%25',
      '/wiki%252Fx',
      '/%2577iki/x',
      '/admin%3F'
    ]),
    {
      '/wiki/100%2541': '/wiki',
      '/wiki/what%3F': '/wiki',
      '/wiki/c%23': '/wiki',
      '/wiki/%2561dmin': 'ambiguous',
      '/wiki/%252561dmin': 'ambiguous',
      '/wiki/%2541DMIN': 'ambiguous',
      '/wiki/%252e%252e/admin': 'ambiguous',
      '/wiki/%252Fadmin': 'ambiguous',
      '/wiki/a%252Fb': '/wiki',
      '/wiki/admin%252Fb': 'ambiguous',
      '/wiki/%2561dmin/100%25': 'ambiguous',
      '/wiki%252Fx': 'ambiguous',
      '/%2577iki/x': 'ambiguous',
      '/admin%3F': 'ambiguous'
    }
  )
  t.end()
})

test('caseSensitive distinguishes letter case on its route only', (t) => {
  const routes = [
    route('/Repo', { ...demanding, caseSensitive: true }),
    route('/admin', demanding),
    route('/Open', { ...open, caseSensitive: true }),
    route('/open/x', demanding),
    route('/', open)
  ]
  t.same(
    verdicts(routes, [
      '/Repo/a',
      '/repo/a',
      '/REPO/a',
      '/admin',
      '/ADMIN',
      '/Open',
      '/open',
      '/Open/x',
      '/OPEN/x',
      '/R%65po'
    ]),
    {
      '/Repo/a': '/Repo',
      '/repo/a': '/',
      '/REPO/a': '/',
      '/admin': '/admin',
      '/ADMIN': 'guarded',
      '/Open': '/Open',
      '/open': '/',
      '/Open/x': 'guarded',
      '/OPEN/x': 'guarded',
      '/R%65po': '/Repo'
    }
  )
  const shop = [route('/Shop', { ...open, caseSensitive: true }), route('/', demanding)]
  t.same(verdicts(shop, ['/Shop/Item', '/shop/item']), { '/Shop/Item': '/Shop', '/shop/item': '/' })
  t.end()
})

test('apps, claims, methods and limits make a route stricter too', (t) => {
  const twins = (strict: Partial<RouteConfig>, lax: Partial<RouteConfig> = {}) => [route('/a', strict), route('/', lax)]
  const rows: [RouteConfig[], string, string][] = [
    [twins({ apps: ['wxaaaa'] }), 'GET', 'guarded'],
    [twins({ apps: ['wxaaaa'] }, { apps: ['wxbbbb'] }), 'GET', 'guarded'],
    [twins({ apps: ['wxaaaa', 'wxbbbb'] }, { apps: ['wxbbbb'] }), 'GET', '/'],
    [twins({ require: { role: ['boss'] } }), 'GET', 'guarded'],
    [twins({ require: { constructor: ['boss'] } }), 'GET', 'guarded'],
    [twins({ require: { role: ['boss', 'clerk'] } }, { require: { role: ['boss'] } }), 'GET', '/'],
    [twins({ methods: ['GET'] }), 'POST', 'guarded'],
    [twins({ methods: ['GET'] }), 'GET', '/'],
    [twins({ methods: ['GET'] }), 'HEAD', '/'],
    [twins({ rateLimit: { max: 5, window: 1000, by: 'ip' } }), 'GET', 'guarded'],
    [twins({ ...open }), 'GET', '/'],
    [[route('/a', { ...open, methods: ['GET'] }), route('/a', demanding), route('/', open)], 'POST', 'guarded'],
    [[route('/a', { ...open, methods: ['GET'] }), route('/a', demanding), route('/', open)], 'GET', '/']
  ]
  for (const [routes, method, expected] of rows)
    t.equal(
      verdicts(routes, ['/A/x'], method)['/A/x'],
      expected,
      `${method} ${JSON.stringify(routes[0]?.require)} ${expected}`
    )
  t.same(verdicts([route('/Caf%C3%A9', demanding), route('/', open)], ['/caf%c3%a9', '/CAF%C3%89', '/cafe%CC%81']), {
    '/caf%c3%a9': 'guarded',
    '/CAF%C3%89': 'guarded',
    '/cafe%CC%81': 'guarded'
  })
  t.end()
})
