/** Random route tables and hostile paths for them. */
import fc from 'fast-check'
import type { RouteConfig } from '../../src/config/config.ts'

export const APPS = ['wxaaaa', 'wxbbbb'] as const

export const NOTHING_ALLOWED: RouteConfig['allow'] = {
  encodedSlash: false,
  matrixParams: false,
  doubleEncoding: false,
  suffix: false,
  scriptName: false,
  rawPercent: false,
  getBody: false
}

/** A route with defaults except for the tested settings. */
export function route(path: string, settings: Partial<RouteConfig> = {}): RouteConfig {
  return {
    path,
    methods: null,
    upstream: 'app',
    auth: 'required',
    apps: null,
    stripPrefix: null,
    maxConnectionAge: 0,
    timeout: null,
    bodyLimit: 1_000,
    rateLimit: null,
    requestHeaders: { set: {}, remove: [] },
    responseHeaders: { set: {}, remove: [] },
    rewriteLocation: true,
    ip: null,
    maintenance: null,
    concurrency: null,
    cors: null,
    methodOverride: false,
    variants: [],
    identity: { headers: 'wxgate', env: null, app: null },
    allow: NOTHING_ALLOWED,
    caseSensitive: false,
    openData: false,
    channel: false,
    require: {},
    inject: {},
    ...settings
  }
}

const segment = fc.constantFrom('admin', 'Admin', 'api', 'x', 'v1', 'a.b', 'caf%C3%A9', 'files', 'users', 'k')

export const routePath = fc.array(segment, { maxLength: 3 }).map((segments) => `/${segments.join('/')}`)

const access = fc.record({
  auth: fc.constantFrom('public' as const, 'optional' as const, 'required' as const),
  apps: fc.option(fc.subarray([...APPS], { minLength: 1 }), { nil: null })
})

const leniency = fc.record({
  encodedSlash: fc.boolean(),
  matrixParams: fc.boolean(),
  doubleEncoding: fc.boolean(),
  suffix: fc.boolean(),
  scriptName: fc.boolean(),
  rawPercent: fc.boolean(),
  getBody: fc.boolean()
})

/** Tables with one route per path, most of them without opt-ins. */
export const routeTable = fc
  .uniqueArray(
    fc.record({
      path: routePath,
      access,
      allow: leniency,
      isLenient: fc.boolean(),
      caseSensitive: fc.constantFrom(false, false, true)
    }),
    { selector: ({ path }) => path, minLength: 1, maxLength: 5 }
  )
  .map((entries) =>
    entries.map(({ path, access, allow, isLenient, caseSensitive }) =>
      route(path, { ...access, caseSensitive, ...(isLenient ? { allow } : {}) })
    )
  )

const scrap = fc.constantFrom(
  '/',
  '//',
  '.',
  '..',
  '/./',
  '/../',
  '/.',
  '/..',
  ';',
  ';a=b',
  '%',
  '%2',
  '%25',
  '%2f',
  '%2F',
  '%5c',
  '\\',
  '%2e',
  '%2e%2e',
  '%252e',
  '%25252f',
  '%252F',
  '%00',
  '%20',
  '%09',
  '+',
  '%2b',
  '%3b',
  '%3B',
  '%3f',
  '%23',
  '?',
  '?x=/admin',
  '%61',
  '%41',
  '%c3%a9',
  '%C3%89',
  '%c0%ae',
  '%ff',
  '%u002e',
  '%25u002f',
  '%ef%bc%8f',
  '%ef%bc%8e',
  '%ef%bd%81',
  '%e2%84%aa',
  '%c4%b1',
  '%e2%80%a4',
  '%c2%a0',
  '::$DATA',
  ':$',
  '~',
  '|',
  '...',
  'A',
  'admin',
  'ADMIN',
  'x',
  '%25%32%65',
  '%2500',
  '%e2%80%8b',
  '%ef%bc%85'
)

/** A target that starts from a path of the table and is changed in a few places. */
export function hostileTarget(routes: readonly RouteConfig[]): fc.Arbitrary<string> {
  const paths = routes.map(({ path }) => path)
  const start = fc.tuple(fc.constantFrom(...paths, '/'), fc.constantFrom('', '/', '/y', '/y/z', '/admin'))
  const change = fc.oneof(
    fc.record({ kind: fc.constant('insert' as const), at: fc.nat(40), text: scrap }),
    fc.record({ kind: fc.constant('encode' as const), at: fc.nat(40), layers: fc.constantFrom(1, 1, 2, 3) }),
    fc.record({ kind: fc.constant('case' as const), at: fc.nat(40) }),
    fc.record({ kind: fc.constant('slash' as const), at: fc.nat(4), text: scrap }),
    fc.record({ kind: fc.constant('prepend' as const), text: scrap })
  )
  return fc.tuple(start, fc.array(change, { maxLength: 4 })).map(([[path, tail], changes]) => {
    let target = mergeEnd(path, tail)
    for (const step of changes) {
      if (step.kind === 'prepend') {
        target = `/${step.text}${target}`
      } else if (step.kind === 'slash') {
        const places = [...target.matchAll(/\//g)].map(({ index }) => index)
        const at = places[step.at % Math.max(1, places.length)] ?? 0
        target = at === 0 ? target : target.slice(0, at) + step.text + target.slice(at + 1)
      } else {
        const at = 1 + (step.at % Math.max(1, target.length))
        const char = target[at] ?? ''
        if (step.kind === 'insert') target = target.slice(0, at) + step.text + target.slice(at)
        else if (step.kind === 'case') target = target.slice(0, at) + swapCase(char) + target.slice(at + 1)
        else target = target.slice(0, at) + encode(char, step.layers) + target.slice(at + 1)
      }
    }
    return target
  })
}

function mergeEnd(path: string, tail: string): string {
  return path === '/' ? tail || '/' : path + tail
}

function swapCase(char: string): string {
  return char === char.toLowerCase() ? char.toUpperCase() : char.toLowerCase()
}

function encode(char: string, layers: number): string {
  if (char === '') return ''
  let text = `%${char.charCodeAt(0).toString(16).padStart(2, '0')}`
  for (let layer = 1; layer < layers; layer++) text = text.replaceAll('%', '%25')
  return text
}
