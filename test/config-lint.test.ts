/** Attack corpus Y15: conflicting routes are named with both lines, and ordinary nesting is not
 *  reported. */
import { test } from 'tap'
import { configText, warnings } from './support/config.ts'

const upstreams =
  '{ orders: { targets: [{ url: http://127.0.0.1:3000 }] }, other: { targets: [{ url: http://127.0.0.1:3001 }] } }'
/** The first route is on line 5. */
const lint = (...routes: string[]) =>
  warnings(configText({ upstreams, routes: routes.map((route) => `\n  - { ${route} }`).join('') }))

const normal: Record<string, string[]> = {
  'a public catch-all above a protected prefix of another upstream': [
    'path: /, upstream: other, auth: public',
    'path: /api, upstream: orders'
  ],
  'a public catch-all that takes other methods than the protected prefix': [
    'path: /, upstream: orders, auth: public, methods: [GET]',
    'path: /api, upstream: orders, methods: [POST]'
  ],
  'a prefix for some addresses below a catch-all for the same ones': [
    'path: /, upstream: orders, auth: public, ip: { allow: [10.0.0.0/8] }',
    'path: /office, upstream: orders, auth: public, ip: { allow: [10.0.0.0/8] }'
  ],
  'a public exception inside a protected prefix': [
    'path: /api, upstream: orders',
    'path: /api/products, upstream: orders, auth: public'
  ],
  'public reads and protected writes of one path': [
    'path: /a, upstream: orders, methods: [GET], auth: public',
    'path: /a, upstream: orders'
  ],
  'the same prefix stripped from both': [
    'path: /api/orders, upstream: orders, stripPrefix: /api',
    'path: /api/products, upstream: orders, stripPrefix: /api, auth: public'
  ],
  'a public exception below a stripped prefix': [
    'path: /api, upstream: orders, stripPrefix: /api',
    'path: /api/open, upstream: orders, stripPrefix: /api, auth: public'
  ],
  'one path of two upstreams': [
    'path: /open, upstream: other, stripPrefix: /open, auth: public',
    'path: /admin, upstream: orders'
  ],
  'two spellings for an upstream that distinguishes case': [
    'path: /Admin, upstream: orders, caseSensitive: true, auth: public',
    'path: /admin, upstream: other, caseSensitive: true'
  ],
  'encoded slashes where all routes have the same requirements': [
    'path: /a, upstream: orders, allow: { encodedSlash: true }',
    'path: /b, upstream: orders'
  ]
}

for (const [title, routes] of Object.entries(normal)) {
  test(`not reported: ${title}`, async (t) => {
    t.same(lint(...routes), [])
  })
}

const risky: Record<string, [string[], RegExp]> = {
  'a public catch-all above a prefix for some addresses': [
    [
      'path: /, upstream: orders, auth: public',
      'path: /office, upstream: orders, auth: public, ip: { allow: [10.0.0.0/8] }'
    ],
    /^gateway\.yaml:5:13 routes\[0\]\.path: this public route \(line 5\) covers the stricter "\/office" on line 6/
  ],
  'a public catch-all above a protected prefix that a variant shares': [
    [
      'path: /, upstream: orders, auth: public',
      'path: /api, upstream: other, variants: [{ upstream: orders, env: [trial] }]'
    ],
    /this public route \(line 5\) covers the stricter "\/api" on line 6 on the same upstream/
  ],
  'a public catch-all above a protected prefix of one upstream': [
    ['path: /, upstream: orders, auth: public', 'path: /api, upstream: orders', 'path: /admin, upstream: orders'],
    /^gateway\.yaml:5:13 routes\[0\]\.path: this public route \(line 5\) covers the stricter "\/api" on line 6 on the same upstream: .*--allow public-catch-all/
  ],
  'an optional prefix above a protected prefix of one target': [
    ['path: /api, upstream: orders, auth: optional', 'path: /api/admin, upstream: alias'],
    /this optional route \(line 5\) covers the stricter "\/api\/admin" on line 6/
  ],
  'a public route whose stripped prefix opens a protected path': [
    ['path: /open, upstream: orders, stripPrefix: /open, auth: public', 'path: /admin, upstream: orders'],
    /^gateway\.yaml:5:13 routes\[0\]\.path: "\/open\/admin" reaches by this public route \(line 5\) what the upstream knows as "\/admin", which "\/admin" on line 6 \(required\) protects$/
  ],
  'the same across two upstreams with one target': [
    ['path: /open, upstream: orders, stripPrefix: /open, auth: public', 'path: /admin, upstream: alias'],
    /"\/open\/admin" reaches by this public route/
  ],
  'an optional route that opens a protected path': [
    ['path: /open, upstream: orders, stripPrefix: /open, auth: optional', 'path: /admin, upstream: orders'],
    /by this optional route/
  ],
  'a public route into a protected area under another name': [
    ['path: /admin, upstream: orders', 'path: /x/admin/open, upstream: orders, stripPrefix: /x, auth: public'],
    /this public route \(line 6\) reaches what "\/admin\/open" reaches by the stricter "\/admin" on line 5/
  ],
  'a laxer spelling of a stricter path': [
    ['path: /Admin, upstream: orders, auth: public', 'path: /admin, upstream: orders'],
    /this route \(line 5\) is never used: it differs only in case from the stricter "\/admin" on line 6/
  ],
  'two spellings of one path': [
    ['path: /Admin, upstream: orders', 'path: /admin, upstream: orders'],
    /this route \(line 6\) differs from "\/Admin" on line 5 only in case/
  ],
  'encoded slashes on a public route beside a protected one': [
    ['path: /open, upstream: orders, auth: public, allow: { encodedSlash: true }', 'path: /admin, upstream: orders'],
    /allow\.encodedSlash on this public route \(line 5\) lets a path through .* "\/admin" on line 6/
  ],
  'double encoding on a public route beside a protected one': [
    ['path: /open, upstream: orders, auth: public, allow: { doubleEncoding: true }', 'path: /admin, upstream: orders'],
    /allow\.doubleEncoding on this public route/
  ]
}

for (const [title, [routes, says]] of Object.entries(risky)) {
  test(`reported: ${title}`, async (t) => {
    const withAlias = upstreams.replace('}] } }', '}] }, alias: { targets: [{ url: "http://127.0.0.1:3000/" }] } }')
    const found = warnings(
      configText({ upstreams: withAlias, routes: routes.map((route) => `\n  - { ${route} }`).join('') })
    )
    t.equal(found.length, 1, found.join('\n'))
    t.match(found[0], says)
  })
}

test('a public catch-all above a protected prefix can be allowed by name', async (t) => {
  const routes = '[{ path: /, upstream: orders, auth: public }, { path: /api, upstream: orders }]'
  t.same(warnings(configText({ routes }), { allow: new Set(['public-catch-all']) }), [])
})
