/** Mistakes of users of nginx, Traefik, Spring, Kong or Envoy: each message shows the right
 *  shape. */
import { Ajv } from 'ajv'
import { test } from 'tap'
import { parseDocument } from 'yaml'
import { publishedSchema } from '../src/config/published-schema.ts'
import type { JsonSchema } from '../src/config/schema.ts'
import { shapes } from '../src/config/shapes.ts'
import { configText, problems } from './support/config.ts'

const route = (rest: string) => configText({ routes: `[{ upstream: orders, path: /a, ${rest} }]` })
const path = (text: string) => configText({ routes: `[{ upstream: orders, path: ${JSON.stringify(text)} }]` })
const upstream = (rest: string) => configText({ upstreams: `{ orders: ${rest} }` })
const withTargets = (rest: string) => upstream(`{ targets: [{ url: http://10.0.0.5:3000 }], ${rest} }`)
const extra = (text: string) => configText({}, text)

test('a path is a prefix: parameters, wildcards, operators and expressions of other routers are refused', async (t) => {
  const patterns: Record<string, string | null> = {
    '/api/:id': '/api',
    '/api/:id/orders': '/api',
    '/api/{id}': '/api',
    '/{proxy+}': null,
    '/api/<int:id>': '/api',
    '/api/[id]': '/api',
    '/api/[0-9]+': '/api',
    '/api/*': '/api',
    '/api/**': '/api',
    'api/*': '/api',
    '*': '/',
    '/*': '/',
    '/a*b': null,
    '^/api/.*$': '/api',
    '/api/.*': '/api',
    '/api/.+': '/api',
    '/api/(.*)': '/api',
    '/api/(v1|v2)': '/api',
    '/api/\\d+': '/api',
    '/api$': '/api',
    '~ ^/api': '/api',
    '~* \\.php$': null,
    '^~ /static': '/static',
    '= /api': '/api',
    'PathPrefix(`/api`)': '/api',
    'Path=/api/**': '/api'
  }
  for (const [pattern, meant] of Object.entries(patterns)) {
    const hint = meant === null ? '' : ` (did you mean "${meant}"?)`
    const says = `routes[0].path: is a prefix: it takes no parameters, wildcards, operators or regular expressions${hint}`
    t.same(
      problems(path(pattern)).map((line) => line.replace(/^\S+ /, '')),
      [says],
      pattern
    )
  }
  for (const literal of ['/v1/books:read', '/$metadata', '/Products(1)', '/a.b+c', '/@me', '/a=b', '/~user'])
    t.same(problems(path(literal)), [], literal)
})

test('the stripped prefix and the path of a hook accept no patterns either', async (t) => {
  t.match(problems(route('stripPrefix: "/{tenant}"')), [/stripPrefix: is a prefix/])
  t.match(problems(extra('login: { hook: { upstream: orders, path: "/login/:app" } }')), [/hook\.path: is a prefix/])
})

const slips: Record<string, [text: string, says: RegExp]> = {
  'a list of URLs for targets': [
    upstream('{ targets: [http://10.0.0.5:3000] }'),
    /targets\[0\]: must be a mapping .*\(write \{ url: http:\/\/10\.0\.0\.5:3000 \}\)/
  ],
  'a URL for targets': [upstream('{ targets: http://h }'), /targets: must be a list \(write \[\{ url: http/],
  'a URL for an upstream': [upstream('http://h'), /upstreams\.orders: must be .*\(write \{ targets: \[\{ url: http/],
  'url in an upstream': [upstream('{ url: http://h }'), /orders\.url: unknown key \(write \{ targets: \[\{ url: http/],
  'servers in an upstream': [upstream('{ servers: [] }'), /orders\.servers: unknown key \(write \{ targets:/],
  'host and port of a target': [upstream('{ targets: [{ host: h }] }'), /host: unknown key \(write url: http/],
  'a list of upstreams': [configText({ upstreams: '[{ name: a }]' }), /upstreams: must be a mapping .*\{ orders: \{/],
  'url beside upstream': [route('url: http://h'), /url: unknown key \(write upstream: orders, with upstreams: \{/],
  proxy_pass: [route('proxy_pass: http://h'), /proxy_pass: unknown key \(write upstream: orders/],
  'a host of a route': [
    route('host: api.example.com'),
    /host: unknown key \(routes are matched by path and method only/
  ],
  'a rate as text': [route('rateLimit: 100/m'), /rateLimit: must be .*\(write \{ max: 100, window: 1m, by: user \}\)/],
  'a rate as a number': [
    route('rateLimit: 100'),
    /rateLimit: must be .*\(write \{ max: 100, window: 1m, by: user \}\)/
  ],
  'keys of another rate limit': [
    route('rateLimit: { requests: 100, window: 1m, by: user }'),
    /requests: unknown key \(write max: 100\)/
  ],
  'auth: none': [route('auth: none'), /auth: must be one of required, optional, public \(write public\)/],
  'auth: false': [route('auth: false'), /auth: must be one of .*\(write public\)/],
  'auth: jwt': [route('auth: jwt'), /auth: must be one of .*\(write required\)/],
  'public: true': [route('public: true'), /public: unknown key \(write auth: public/],
  'a method without a list': [route('methods: GET'), /methods: must be a list \(write \[GET, POST\]\)/],
  'a method in small letters': [route('methods: [post]'), /methods\[0\]: must be .*\(did you mean "POST"\?\)/],
  'any method': [route('methods: ["*"]'), /methods\[0\]: must be .*\(leave methods out/],
  'strip_path of Kong': [route('strip_path: true'), /strip_path: unknown key \(write stripPrefix: \/api\)/],
  'roles of a route': [route('roles: [admin]'), /roles: unknown key \(write require: \{ roles: \[admin\] \}\)/],
  'a certificate as a path': [
    extra('server: { tls: { cert: tls/a.pem, key: { file: b } } }'),
    /server\.tls\.cert: must be .*\(write \{ file: tls\/cert\.pem \}\)/
  ],
  'tls: true': [extra('server: { tls: true }'), /server\.tls: must be .*\(write \{ cert: \{ file: /],
  ssl_certificate: [extra('server: { ssl_certificate: a }'), /ssl_certificate: unknown key \(write tls: \{ cert:/],
  'server.listen': [
    extra('server: { listen: 80 }'),
    /server\.listen: unknown key \(write server: \{ host: 0\.0\.0\.0, port/
  ],
  'listen at the top': [
    extra('listen: 80'),
    /listen: unknown key \(write server: \{ host: 0\.0\.0\.0, port: 8080 \}\)/
  ],
  client_max_body_size: [extra('server: { client_max_body_size: 1m }'), /\(write limits: \{ body: 10mb \}\)/],
  'a key of another section': [
    extra('tokens: { storeGrace: 5m }'),
    /storeGrace: unknown key \(did you mean sessions\.storeGrace\?\)/
  ],
  'store: memory: without quotes': [extra('store: memory:'), /a second ": " in one line \(write store: memory\)/],
  'a file as the store': [extra('store: ./data/x.db'), /store: must be .*\(write sqlite:\.\/data\/wxgate\.db\)/],
  'an absolute file as the store': [extra('store: /data/x.db'), /store: must be .*\(write sqlite:/],
  'a URL of SQLite': [
    extra('store: sqlite:///data/x.db'),
    /store: must name a file .*\(write sqlite:\/data\/wxgate\.db\)/
  ],
  'a host as the store': [extra('store: redis.internal:6379'), /store: must be .*\(write redis:\/\//],
  'a mapping as the store': [extra('store: { type: redis }'), /store: must be .*\(write sqlite:/],
  'a full-width colon': [extra('server：\n  port: 1'), /"：" is full-width \(U\+FF1A\): write :/],
  'a full-width colon below a key': [extra('server:\n  port：1'), /server: must be .*"：" is full-width/],
  'a full-width colon in a list': [configText({ routes: '\n  - path：/a\n    upstream: b' }), /"：" is full-width/],
  'no space after the colon': [extra('server:\n  port:8080'), /server: must be .*\(put a space after the ":"\)/],
  'no space after the dash': [
    configText({ routes: '\n  -path: /a' }),
    /routes: must be a list \(put a space after the "-"\)/
  ],
  'an equals sign': [
    extra('server:\n  port=8080'),
    /server: must be .*\(write "key: value" instead of "key = value"\)/
  ],
  'a line that is indented too deep': [extra('server:\n  host: a\n    port: 1'), /the line below is indented deeper/],
  'a line that is indented too little': [extra('server:\n    host: a\n  port: 1'), /fits no mapping above it/],
  'keys that are not indented': [extra('server:\nport: 1'), /server: must be .*indent its lines below the key/],
  'an open bracket': [extra('logging: { level: info\nstore: memory'), /a bracket is opened above/],
  'a template that was not filled in': [extra('server: { port: {{ .Values.port }} }'), /\(a template such as/],
  'a variable without braces': [
    extra('server: { port: $PORT }'),
    /server\.port: .*\(a variable is written \$\{NAME\}\)/
  ],
  'a duration in words': [extra('tokens: { accessTtl: 2 hours }'), /accessTtl: must be a duration such as/],
  'a duration of two units': [extra('tokens: { accessTtl: 1h30m }'), /\(one number with one unit, such as 90m\)/],
  'a size in capitals': [extra('server: { limits: { body: 10M } }'), /a size such as 512b, 64kb, 10mb or 1gb/],
  least_conn: [withTargets('balance: least_conn'), /balance: must be one of .*\(write leastRequests\)/],
  'a timeout of an upstream': [withTargets('timeout: 30s'), /timeout: unknown key \(write timeouts: \{ connect: 2s/],
  'level: warning': [extra('logging: { level: warning }'), /level: must be one of .*\(write warn\)/],
  'routes as a mapping': [configText({ routes: '{ /api: orders }' }), /routes: must be a list \(write \[\{ path: \/api/]
}

for (const [title, [text, says]] of Object.entries(slips)) {
  test(`the right shape is shown: ${title}`, async (t) => {
    const found = problems(text)
    t.ok(
      found.some((line) => says.test(line)),
      found.join('\n')
    )
  })
}

test('every shape that a message shows is valid at its place', async (t) => {
  const root = publishedSchema() as JsonSchema
  for (const [place, shape] of Object.entries(shapes)) {
    let schema: JsonSchema | undefined = root
    for (const step of place.replaceAll('[]', '.[]').split('.')) {
      const kind = step === '[]' ? 'array' : 'object'
      const parent: JsonSchema | undefined = schema?.anyOf?.find(({ type }) => type === kind) ?? schema
      if (step === '[]') schema = parent?.items
      else schema = step === '*' ? Object.values(parent?.patternProperties ?? {})[0] : parent?.properties?.[step]
    }
    if (schema === undefined) {
      t.fail(`${place} is not a place of the schema`)
      continue
    }
    const validate = new Ajv({ strict: false }).compile(schema)
    t.ok(validate(parseDocument(shape).toJS()), `${place}: ${JSON.stringify(validate.errors)}`)
  }
})
