/** The canonical path: a target has one reading, and no backend reads a more privileged one. */
import fc from 'fast-check'
import { test } from 'tap'
import type { RouteConfig } from '../src/config/config.ts'
import { canonicalPath, PathRefusal } from '../src/http/path/canonical-path.ts'
import { createRouteTable } from '../src/routing/route-table.ts'
import { APPS, hostileTarget, NOTHING_ALLOWED, route, routeTable } from './support/route-tables.ts'
import { type ToyBackend, toyBackends } from './support/toy-backends.ts'

const RUNS = Number(process.env.FUZZ_RUNS ?? 1_000)
const anyTarget = fc.oneof(
  hostileTarget([route('/admin'), route('/')]),
  fc.string({ unit: 'binary-ascii', maxLength: 30 }).map((text) => `/${text}`),
  fc.webPath()
)

/** Targets by the reason of their refusal. The corpus of the self-test has those that lead to a
 *  protected path. */
const REFUSED: Readonly<Record<string, string>> = {
  'a dot segment': '/. /./ /x/./y /x/.?y=1 /%2e /x/%2E?y /x/.. /.. /x/..?/admin /x/%2e./y /.//',
  'a backslash': String.raw`/x\y /x/\ \\evil.com\admin /x/%5cy`,
  'an empty segment': '// //x /x// /x//y /x//?y /%2e//x /x/....//y /...//y',
  'a dot or space at the end of a segment': '/x. /x./y /x%20 /x%20/y /x%2e/y /x%20./y /x%09 /x/y%20%20?z /x%c2%a0',
  'an encoded control character': '/x%00.jpg /x%0D /x%7f /x%1f /x%C2%85/y',
  'an overlong form of an ASCII character': '/%c0%af /%c1%9c /%e0%80%af /%f0%80%80%af /%f8%80%80%80%af',
  'a malformed triplet': '/% /%zz /x%2 /x%2?y /%u002e/x /%-1 /%0x41',
  'a fragment': '/x#y /x?y#/z #/x',
  'another form than an absolute path': '* ?x x *x x:80 http:/x',
  'a raw byte beyond ASCII': '/\u00e9 /\uff41dmin /x\u00a0 /\u2025/x'
}
/** Targets that only a route with `allow` accepts. */
const CONDITIONAL =
  '/x/%2f /x%2F%2Fy /x;y /; /x;jsessionid=1?y=2 /x%3b /%2561dmin /%25%36%31dmin /x%25u002e/y /x%23/y /%3Fx ' +
  '/%ff /%c3 /%c3/%a9 /%ed%a0%80 /%f4%90%80%80'

test('a target that two decoders can read in two ways is refused, or needs an allowance', (t) => {
  for (const [reason, targets] of Object.entries(REFUSED))
    for (const target of targets.split(' ')) t.ok(canonicalPath(target) instanceof PathRefusal, `${reason}: ${target}`)
  for (const target of CONDITIONAL.split(' ')) {
    const path = canonicalPath(target)
    t.ok(path instanceof PathRefusal || path.needs > 0, target)
  }
  for (const target of ['/.../x', '/x/...', '/x/..../y', '/x/..y', '/.well', '/x/.hidden', "/!$&'()*+,=:@-._~[]|"])
    t.notOk(canonicalPath(target) instanceof PathRefusal, target)
  t.end()
})

test('the canonical form of a path is its own canonical form', (t) => {
  fc.assert(
    fc.property(anyTarget, (target) => {
      const first = canonicalPath(target)
      if (first instanceof PathRefusal) return
      const again = canonicalPath(first.path + first.query)
      if (again instanceof PathRefusal) throw new Error(again.reason)
      if (again.path !== first.path || again.query !== first.query || again.needs !== first.needs)
        throw new Error(`${first.path} became ${again.path}`)
    }),
    { numRuns: RUNS }
  )
  t.end()
})

test('the URL parser of the platform finds nothing to change in it', (t) => {
  fc.assert(
    fc.property(anyTarget, (target) => {
      const canonical = canonicalPath(target)
      if (canonical instanceof PathRefusal) return
      const url = new URL(canonical.path, 'http://backend')
      if (url.pathname !== canonical.path) throw new Error(`${canonical.path} became ${url.pathname}`)
      if (url.host !== 'backend' || url.search !== '' || url.hash !== '') throw new Error(url.href)
    }),
    { numRuns: RUNS }
  )
  t.end()
})

test('the query stays byte for byte, and is not part of the path', (t) => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary-ascii', maxLength: 20 }),
      fc.constantFrom('/x', '/%61', '/a%20b'),
      (query, path) => {
        const canonical = canonicalPath(`${path}?${query}`)
        if (query.includes('#')) return canonical instanceof PathRefusal
        const alone = canonicalPath(path)
        if (canonical instanceof PathRefusal || alone instanceof PathRefusal) return false
        return canonical.query === `?${query}` && canonical.path === alone.path
      }
    ),
    { numRuns: 1_000 }
  )
  t.end()
})

test('no forwarded path holds a raw or encoded control character, a backslash, or a dot segment', (t) => {
  fc.assert(
    fc.property(anyTarget, (target) => {
      const canonical = canonicalPath(target)
      if (canonical instanceof PathRefusal) return true
      return (
        /^\/[\x21-\x7e]*$/.test(canonical.path) &&
        !/%[01][0-9A-F]|%7F|%5C|\\|\/\/|\/\.\.?(?:\/|$)/.test(canonical.path) &&
        !/%(?![0-9A-F]{2})/.test(canonical.path)
      )
    }),
    { numRuns: RUNS }
  )
  t.end()
})

/** Apps of a caller; null for a caller without a token. */
const CALLERS = [null, ...APPS]

function mayUse({ auth, apps }: RouteConfig, app: string | null): boolean {
  if (auth === 'public') return true
  if (app === null) return auth === 'optional'
  return apps === null || apps.includes(app)
}

/** The routes whose resources the backend would serve for this reading: those with the longest
 *  path. */
function ownersOf(routes: readonly RouteConfig[], reading: string, backend: ToyBackend): RouteConfig[] {
  const decoded = (path: string) => decodeURIComponent(path)
  const covers = (candidate: RouteConfig) => {
    const isAnyCase = backend.ignoresCase && !candidate.caseSensitive
    const forms = [candidate.path, decoded(candidate.path)]
    const fold = (text: string) => (isAnyCase ? text.toUpperCase() : text)
    return forms.some((form) => {
      const [prefix, path] = [fold(form), fold(reading)]
      return prefix === '/' || path === prefix || path.startsWith(`${prefix}/`)
    })
  }
  const depth = ({ path }: RouteConfig) => (path === '/' ? 0 : path.split('/').length)
  const found = routes.filter(covers)
  const deepest = Math.max(...found.map(depth))
  return found.filter((candidate) => depth(candidate) === deepest)
}

test('no backend reads a path allowed by a less strict rule as one of a stricter rule', (t) => {
  const reached = new Map(toyBackends.map(({ name }) => [name, 0]))
  const tableAndTarget = routeTable.chain((routes) => fc.tuple(fc.constant(routes), hostileTarget(routes)))
  fc.assert(
    fc.property(tableAndTarget, ([routes, target]) => {
      const canonical = canonicalPath(target)
      if (canonical instanceof PathRefusal) return
      const match = createRouteTable(routes).match('GET', canonical)
      if (match.kind !== 'route') return
      for (const backend of toyBackends) {
        const reading = backend.read(canonical.path + canonical.query)
        if (reading === null) continue
        reached.set(backend.name, (reached.get(backend.name) ?? 0) + 1)
        for (const owner of ownersOf(routes, reading, backend)) {
          const intruder = CALLERS.find((caller) => mayUse(match.route, caller) && !mayUse(owner, caller))
          if (intruder !== undefined)
            throw new Error(
              `${target} is let through by ${match.route.path} as ${canonical.path} for ${intruder}; ${backend.name} reads ${reading}, of ${owner.path}`
            )
        }
      }
    }),
    { numRuns: RUNS * 5 }
  )
  for (const [name, count] of reached) t.ok(count > RUNS / 4, `${name} was asked ${count} times`)
  t.end()
})

test('a plain path of the route table is never refused', (t) => {
  const plain = fc.constantFrom(
    '',
    '/',
    '/y',
    '/Y',
    '/y/42',
    '/%E5%BC%A0',
    '/a%20b',
    '/100%25',
    '/y:batch',
    '/@me',
    '/a+b',
    '/y.'
  )
  fc.assert(
    fc.property(routeTable, plain, (routes, tail) => {
      // A table with two spellings of one name is covered by caseSensitive below.
      if (routes.some(({ path }) => path.includes('Admin')) && routes.some(({ path }) => path.includes('admin'))) return
      const table = createRouteTable(routes)
      for (const { path } of routes) {
        const target = path === '/' ? tail || '/' : path + tail
        const canonical = canonicalPath(target)
        if (canonical instanceof PathRefusal) {
          if (tail === '/y.') continue
          throw new Error(`${target}: ${canonical.reason}`)
        }
        const match = table.match('GET', canonical)
        if (match.kind !== 'route' || match.route.path !== path) throw new Error(`${target}: ${match.kind}`)
      }
    }),
    { numRuns: RUNS / 4 }
  )
  t.end()
})

test('the cost of a path is linear in its length', (t) => {
  const table = createRouteTable([
    route('/', {
      auth: 'public',
      allow: { ...NOTHING_ALLOWED, encodedSlash: true, matrixParams: true, doubleEncoding: true }
    }),
    route('/admin')
  ])
  /** Milliseconds, the best of several runs: the machine is shared. */
  const cost = (target: string): number => {
    let best = Number.POSITIVE_INFINITY
    for (let run = 0; run < 10; run++) {
      const start = performance.now()
      const path = canonicalPath(target)
      if (!(path instanceof PathRefusal)) table.match('GET', path)
      best = Math.min(best, performance.now() - start)
    }
    return best
  }
  const fill = (piece: string, length: number) => piece.repeat(Math.floor(length / piece.length))
  const shapes: ((length: number) => string)[] = [
    ...['+', '%20', '.', ':', ';', '%25', '%E2%80%8B', '%2F', '%u'].map(
      (piece) => (length: number) => `/a${fill(piece, length)}b%41`
    ),
    ...['+a/', '%20a/', 'a;b/', 'a.b/', 'a::b/', '%EF%B7%BA/', '%41/', 'A/'].map(
      (piece) => (length: number) => `/${fill(piece, length)}x`
    ),
    (length) => `/${fill('a++++++++++++++++++++++++++++++++++++++++++++++++', length)}a`
  ]
  for (const shape of shapes) {
    const [short, long] = [cost(shape(1_000)), cost(shape(8_000))]
    // Eight times the length: 8 times the cost when linear, 64 times when quadratic.
    t.ok(long < 32 * Math.max(short, 0.05), `${shape(20)}: ${short.toFixed(3)} ms and ${long.toFixed(3)} ms`)
  }
  t.end()
})
