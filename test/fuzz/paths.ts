/** One reading of every path: canonical, idempotent, and never a public route for a path that
 *  some backend reads as protected. */
import fc from 'fast-check'
import type { RouteConfig } from '../../src/config/config.ts'
import { canonicalPath, PathRefusal } from '../../src/http/path/canonical-path.ts'
import { createRouteTable, type RouteTable } from '../../src/routing/route-table.ts'
import { defaultConfig, readTestConfig } from '../support/gateway.ts'
import { readersOf } from './backends.ts'
import { apply, bytes, edits, type Fuzzer } from './fuzzer.ts'

const SCRAPS = [
  '/',
  '//',
  '.',
  '..',
  '...',
  'admin',
  'ADMIN',
  'Admin',
  'x',
  '%2e',
  '%2E',
  '%2f',
  '%5c',
  '\\',
  ';',
  ';a=b',
  '%3b',
  '%25',
  '%252e',
  '%252f',
  '%61',
  '%41',
  '%c0%ae',
  '%c0%af',
  '%e0%80%ae',
  '%EF%BC%8F',
  '%EF%BC%8E',
  '%EF%BD%81',
  '%C4%B1',
  '%E2%84%AA',
  '%E2%80%8B',
  '%C2%A0',
  '%C2%AD',
  '%20',
  '%09',
  '%00',
  '%0a',
  '%7f',
  '%u002e',
  '%25u002e',
  '%zz',
  '%',
  '+',
  '~',
  '#',
  '?',
  '%23',
  '%3f',
  ':$DATA',
  '::$INDEX_ALLOCATION',
  '*',
  '@',
  'http://h/'
]
const BASES = [
  '/admin',
  '/admin/x',
  '/x/admin',
  '/./admin',
  '/x/../admin',
  '/admin;/x',
  '/%61dmin/x',
  '/x?y=/admin',
  '/'
]

const target = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom(...BASES), edits(SCRAPS)).map(([base, list]) => apply(base, list)) },
  {
    weight: 3,
    arbitrary: fc.array(fc.constantFrom(...SCRAPS), { maxLength: 10 }).map((parts) => `/${parts.join('')}`)
  },
  { weight: 1, arbitrary: bytes(40).map((text) => `/${text}`) },
  { weight: 1, arbitrary: bytes(20) }
)

const ALLOWANCES = [
  {},
  { encodedSlash: true },
  { matrixParams: true },
  { doubleEncoding: true },
  { encodedSlash: true, matrixParams: true, doubleEncoding: true }
]

export function createPathFuzzer(read: typeof canonicalPath = canonicalPath): Fuzzer<string> {
  const tables = ALLOWANCES.map((allow) => ({ allow: JSON.stringify(allow), table: tableWith(allow) }))

  return {
    name: 'paths',
    inputs: target,
    check(input) {
      const result = read(input)
      if (result instanceof PathRefusal) return result.reason === '' ? 'refused without a reason' : null
      const { path, query, needs } = result
      const mark = input.indexOf('?')
      if (query !== (mark < 0 ? '' : input.slice(mark))) return `the query was changed: ${query}`
      if (!/^\/[\x21-\x7e]*$/.test(path) || /[\\#?]/.test(path)) return `not a plain path: ${path}`
      if (/\/\/|\/\.{1,2}(?:\/|$)/.test(path)) return `a path with dot segments: ${path}`
      const again = read(path + query)
      if (again instanceof PathRefusal) return `its own result is refused: ${path}`
      if (again.path !== path || again.query !== query || again.needs !== needs)
        return `not idempotent: ${path} and ${again.path}`
      for (const { allow, table } of tables) {
        const match = table.match('GET', result)
        if (match.kind !== 'route' || match.route.path !== '/') continue
        const readers = readersOf(path, '/admin')
        if (readers.length > 0) return `public with ${allow}, but ${readers.join()} would serve /admin for ${path}`
      }
      return null
    }
  }
}

function tableWith(allow: object): RouteTable<RouteConfig> {
  const routes = [
    { path: '/admin', upstream: 'app', auth: 'required' },
    { path: '/', upstream: 'app', auth: 'public', allow }
  ]
  return createRouteTable(readTestConfig({ ...defaultConfig('http://127.0.0.1:9'), routes }).routes)
}
