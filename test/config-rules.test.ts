/** Faults of a gateway.yaml of the right form. */
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'tap'
import { configText, files, load, PEM, problems, SECRET } from './support/config.ts'
import { generateRsa, payConfig } from './support/pay.ts'

const TOKEN = 'hT5wQz8Lr2Nk6Yv0'
const RSA = generateRsa()
const withPay = (changes: Readonly<Record<string, unknown>>) => {
  const pay = payConfig(RSA, { upstream: 'orders', ...changes })
  return configText({ apps: JSON.stringify([{ appid: 'wx1234', secret: 'a', pay }]) })
}
const route = (rest: string) => configText({ routes: `[{ upstream: orders, ${rest} }]` })

const rejected: readonly { title: string; text: string; says: readonly RegExp[] }[] = [
  {
    title: 'a route to an upstream that does not exist',
    text: configText({ routes: '[{ path: /a, upstream: odrers }]' }),
    says: [/routes\[0\]\.upstream: there is no upstream "odrers" \(did you mean "orders"\?\)$/]
  },
  {
    title: 'a route for an app that does not exist',
    text: route('path: /a, apps: [wx1234567890abcdee]'),
    says: [/routes\[0\]\.apps\[0\]: there is no app "wx1234567890abcdee" \(did you mean "wx1234567890abcdef"\?\)/]
  },
  {
    title: 'the same appid twice',
    text: configText({ apps: '\n  - { appid: wx1234, secret: a }\n  - { appid: wx1234, secret: b }' }),
    says: [/^gateway\.yaml:4:14 apps\[1\]\.appid: is given twice, first on line 3$/]
  },
  {
    title: 'replicas of a store that has none',
    text: configText({}, 'store: sqlite:./x.db\nsessions: { waitReplicas: 1 }'),
    says: [/sessions\.waitReplicas: needs a store in Redis/]
  },
  ...[
    'https://10.0.0.9:3128',
    'socks5://10.0.0.9',
    '10.0.0.9:3128',
    'http://10.0.0.9:3128/path',
    'http://user:pa/ss@10.0.0.9:3128',
    'http://user:pa%ss@10.0.0.9:3128',
    'http://us%3Aer:pass@10.0.0.9:3128'
  ].map((proxy) => ({
    title: `the proxy ${proxy}`,
    text: configText({}, `wechat: { proxy: "${proxy}" }`),
    says: [
      /^gateway\.yaml:\d+:\d+ wechat\.proxy: (?:must be an http URL without a path|has a (?:%|colon)).*(?<!pa.?ss)$/
    ]
  })),
  ...['sandbox', 'api2.weixin.qq.com', 'https://user@api2.weixin.qq.com', 'https://api2.weixin.qq.com?a'].map(
    (base) => ({
      title: `the fallback ${base}`,
      text: configText({}, `wechat: { fallbackBase: "${base}", payFallbackBase: "${base}" }`),
      says: [/wechat\.fallbackBase: must be/, /wechat\.payFallbackBase: must be/]
    })
  ),
  ...['10.0.0.7:4318', 'grpc://10.0.0.7:4317', 'http://user:pass@10.0.0.7:4318', 'http://10.0.0.7:4318?a'].map(
    (endpoint) => ({
      title: `the collector ${endpoint}`,
      text: configText({}, `telemetry: { otlp: { endpoint: "${endpoint}" } }`),
      says: [/telemetry\.otlp\.endpoint: must be an http or https URL without credentials/]
    })
  ),
  ...['Expect', 'Keep-Alive', 'Upgrade'].map((name) => ({
    title: `the header ${name} for the collector`,
    text: configText({}, `telemetry: { otlp: { endpoint: "http://127.0.0.1:4318", headers: { ${name}: a } } }`),
    says: [new RegExp(`otlp\\.headers\\.${name}: is set by the gateway`)]
  })),
  {
    title: 'an endpoint of one signal, and headers that cannot be sent',
    text: configText({}, 'telemetry: { otlp: { endpoint: http://a/v1/traces, headers: { Host: a, X-A: "é好" } } }'),
    says: [
      /otlp\.endpoint: must be the base of the collector \(leave \/v1\/… out: it is appended\)/,
      /otlp\.headers\.Host: is set by the gateway/,
      /otlp\.headers\.X-A: the value must not hold/
    ]
  },
  {
    title: 'a limit of calls without a window',
    text: configText({ apps: '[{ appid: wx1234, secret: a, wxapiLimit: { rateLimit: { max: 1 } } }]' }),
    says: [/apps\[0\]\.wxapiLimit\.rateLimit.*window/]
  },
  {
    title: 'an invalid appid',
    text: configText({ apps: '[{ appid: gh_123456, secret: a }]' }),
    says: [/apps\[0\]\.appid: must be an appid/]
  },
  {
    title: 'the same path and method twice',
    text: configText({
      routes:
        '\n  - { path: /a, upstream: orders, methods: [GET, POST] }\n  - { path: /a, upstream: orders, methods: [POST] }'
    }),
    says: [/routes\[1\]\.path: is routed twice for POST, on line 5 and on line 6/]
  },
  {
    title: 'the same path twice',
    text: configText({
      routes: '\n  - { path: /a, upstream: orders }\n  - { path: /a, upstream: orders, auth: public }'
    }),
    says: [/routes\[1\]\.path: is routed twice for all methods, on line 5 and on line 6/]
  },
  {
    title: 'CONNECT and TRACE',
    text: route('path: /a, methods: [CONNECT, TRACE]'),
    says: [/CONNECT is not allowed/, /TRACE is not allowed/]
  },
  { title: 'a method in small letters', text: route('path: /a, methods: [get]'), says: [/an HTTP method in capitals/] },
  {
    title: 'a method that does not exist',
    text: route('path: /a, methods: [GTE]'),
    says: [/not a method that Node can read \(did you mean "GET"\?\)/]
  },
  {
    title: 'a stripped prefix beside the path',
    text: route('path: /api/a, stripPrefix: /apis'),
    says: [/stripPrefix: must be the start/]
  },
  {
    title: 'a stripped prefix that ends inside a segment',
    text: route('path: /api/a, stripPrefix: /ap'),
    says: [/stripPrefix: must be the start/]
  },
  {
    title: 'a reserved header that is set',
    text: route('path: /a, requestHeaders: { set: { X-OpenId: x } }'),
    says: [/set\.X-OpenId: this header is reserved/]
  },
  {
    title: 'a reserved header in another spelling',
    text: route('path: /a, requestHeaders: { set: { x_user.id: x } }'),
    says: [/this header is reserved/]
  },
  {
    title: 'a framing header in a response',
    text: route('path: /a, responseHeaders: { set: { Transfer-Encoding: x } }'),
    says: [/this header is reserved/]
  },
  {
    title: 'one header in two spellings',
    text: route('path: /a, requestHeaders: { set: { X-Foo: a, x_foo: b } }'),
    says: [/is another spelling of "X-Foo"/]
  },
  {
    title: 'Y14 a line break in a header value',
    text: route('path: /a, requestHeaders: { set: { X-Foo: "evil\\r\\nX-B: c" } }'),
    says: [/the value must not hold control/]
  },
  {
    title: 'a header value beyond Latin-1',
    text: route('path: /a, requestHeaders: { set: { X-Foo: 张三 } }'),
    says: [/characters beyond Latin-1/]
  },
  {
    title: 'Y14 a header name with a line break',
    text: route('path: /a, requestHeaders: { set: { "X-OpenId: evil\\r\\n": x } }'),
    says: [/not a valid header name/]
  },
  {
    title: 'a claim that no hook sets',
    text: route('path: /a, require: { roles: [admin] }'),
    says: [/require\.roles: there is no login\.hook/]
  },
  {
    title: 'a claim that the hook may not set',
    text: configText(
      { routes: '[{ path: /a, upstream: orders, require: { role: [admin] }, inject: { X-Level: lvel } }]' },
      'login: { hook: { upstream: orders, path: /login, claims: [roles, level] } }'
    ),
    says: [/require\.role: login\.hook\.claims does not list "role" \(did you mean "roles"\?\)/, /did you mean "level"/]
  },
  {
    title: 'a login hook to an unknown upstream',
    text: configText({}, 'login: { hook: { upstream: nope, path: login } }'),
    says: [
      /login\.hook\.upstream: there is no upstream "nope"/,
      /login\.hook\.path: must start with "\/" \(did you mean "\/login"\?\)/
    ]
  },
  {
    title: 'protection on a public route',
    text: route(
      'path: /a, auth: public, apps: [wx1234567890abcdef], openData: true, rateLimit: { max: 1, window: 1s, by: user }'
    ),
    says: [/apps: cannot work here/, /openData: cannot work here/, /rateLimit: cannot work here/]
  },
  {
    title: 'a short service token',
    text: configText({}, 'service: { tokens: [{ name: a, token: short, scopes: [pay] }] }'),
    says: [/at least 16 characters/]
  },
  {
    title: 'equal service tokens',
    text: configText(
      {},
      `service: { tokens: [{ name: a, token: ${TOKEN}, scopes: [pay] }, { name: a, token: ${TOKEN}, scopes: [pay] }] }`
    ),
    says: [/is the name of another token, on line 5/, /tokens\[1\]\.token: is the same as the one on line 5/]
  },
  {
    title: 'a short secret',
    text: configText({ secrets: '[abc]' }),
    says: [/secrets\[0\]: must have at least 32 characters \(wxgate keygen/]
  },
  {
    title: 'a guessable secret',
    text: configText({ secrets: `[${'a'.repeat(40)}]` }),
    says: [/can be guessed: it has too few different/]
  },
  {
    title: 'one secret twice',
    text: configText({ secrets: `[${SECRET}, ${SECRET}]` }),
    says: [/secrets\[1\]: is the same as the one on line 1/]
  },
  { title: 'no secret', text: configText({ secrets: '[]' }), says: [/secrets: must have at least one entry/] },
  {
    title: 'proxies that are all addresses',
    text: configText({}, 'server: { trustedProxies: [0.0.0.0/0, "::/0", "::ffff:0.0.0.0/96"] }'),
    says: [/\[0\]: trusts every address/, /\[1\]: trusts every address/, /\[2\]: trusts every address/]
  },
  {
    title: 'invalid ranges',
    text: configText(
      {},
      'server: { trustedProxies: [10.0.0.0/33, 10.0.0/8, "fe80::%eth0", "::1/129", 10.0.0.0/8/8, loopback] }'
    ),
    says: [
      /\[0\]: must have a prefix/,
      /\[1\]: must be an IP/,
      /\[2\]: must be an IP/,
      /\[3\]: must have a prefix/,
      /\[4\]: must be an IP/,
      /\[5\]/
    ]
  },
  {
    title: 'two listeners on one port',
    text: configText({}, 'server: { port: 9090 }'),
    says: [/service\.port: is the port of the public edge/]
  },
  {
    title: 'TLS with files that are missing',
    text: configText({}, 'server: { tls: { cert: { file: a.pem }, key: { file: b.pem } } }'),
    says: [/server\.tls\.cert\.file: the file cannot be used/, /server\.tls\.key\.file: the file cannot be used/]
  },
  {
    title: 'TLS without a key',
    text: configText({}, 'server: { tls: { cert: { file: a.pem } } }'),
    says: [/server\.tls\.key: is missing/, /a\.pem|there is no such file/]
  },
  {
    title: 'token lives in the wrong order',
    text: configText({}, 'tokens: { accessTtl: 3d, refreshTtl: 2d, refreshMaxTtl: 1d }'),
    says: [
      /accessTtl: must not be longer than tokens\.refreshTtl/,
      /refreshTtl: must not be longer than tokens\.refreshMaxTtl/
    ]
  },
  {
    title: 'an access token that ends at once',
    text: configText({}, 'tokens: { accessTtl: 10ms }'),
    says: [/accessTtl: must be from 1s/]
  },
  {
    title: 'workers that do not share a store',
    text: configText({}, 'server: { workers: 2 }\nstore: memory'),
    says: [/server\.workers: needs a store that processes can share: with memory each/]
  },
  {
    title: 'as many workers as cores that do not share a store',
    text: configText({}, 'server: { workers: auto }\nstore: "memory:"'),
    says: [/server\.workers: needs a store/]
  },
  {
    title: 'an unknown store',
    text: configText({}, 'store: mysql://h/db'),
    says: [/store: must be memory, sqlite:PATH/]
  },
  {
    title: 'a misspelt kind of store',
    text: configText({}, 'store: redi://h'),
    says: [/store: must be .* \(did you mean "redis:"\?\)$/]
  },
  {
    title: 'a sqlite store without a file',
    text: configText({}, 'store: "sqlite:"'),
    says: [/store: must be memory, sqlite:PATH, redis:\/\/HOST or rediss:\/\/HOST$/]
  },
  {
    title: 'a generated secret for Redis',
    text: configText({ secrets: '[generated]' }, 'store: redis://127.0.0.1'),
    says: [/instances that share Redis must share the secret/]
  },
  {
    title: 'apps of the sandbox beside real ones',
    text: configText({ apps: '[{ appid: wx1234, secret: sandbox }, { appid: wx5678, secret: real }]' }),
    says: [/apps\[0\]\.secret: this app exists in the sandbox only, and others do not/]
  },
  {
    title: 'an app of the sandbox and the real WeChat',
    text: configText(
      { apps: '[{ appid: wx1234, secret: sandbox }]' },
      'wechat: { apiBase: https://api.weixin.qq.com }'
    ),
    says: [/apps\[0\]\.secret: .*wechat\.apiBase names another server/]
  },
  {
    title: 'an invalid WeChat address',
    text: configText({}, 'wechat: { apiBase: sanbox }'),
    says: [/wechat\.apiBase: must be an http or https URL.*did you mean "sandbox"/]
  },
  {
    title: 'an invalid address of the pay API, and the sandbox as pay API beside WeChat itself',
    text: configText({}, 'wechat: { apiBase: https://api.weixin.qq.com, payBase: sandbox }'),
    says: [/wechat\.payBase: the built-in sandbox runs only where wechat\.apiBase is sandbox/]
  },
  {
    title: 'a merchant whose keys cannot be used',
    text: withPay({ privateKey: PEM.key, apiV3Key: 'v3-key-of-31-characters-0123456', apiKey: 'short' }),
    says: [
      /^gateway\.yaml:\d+:\d+ apps\[0\]\.pay\.privateKey: must hold an RSA key of at least 2048 bits/,
      /pay\.apiV3Key: must be the APIv3 key: 32 characters, these are 31 bytes/,
      /pay\.apiKey: must be the key of API v2: 32 letters or digits/
    ]
  },
  {
    title: 'a merchant with the certificate in place of the key, and with unknown names',
    text: withPay({ privateKey: PEM.cert, upstream: 'odrers', path: 'paid', serialNo: 'AB:CD' }),
    says: [
      /pay\.privateKey: must hold the private key, not the certificate \(apiclient_key\.pem holds it\)/,
      /pay\.upstream: there is no upstream "odrers" \(did you mean "orders"\?\)/,
      /pay\.path: must start with "\/"/,
      /pay\.serialNo: must be the serial number of the merchant certificate in hex/
    ]
  },
  {
    title: 'platform keys that are no keys of WeChat Pay',
    text: withPay({
      platformKeys: [
        { serial: 'PUB_KEY_ID_0110', publicKey: RSA.publicKey },
        { serial: 'PUB_KEY_ID_01100000', publicKey: RSA.privateKey },
        { serial: 'PUB_KEY_ID_01100000', publicKey: 'x' },
        { serial: 'AABBCCDD', publicKey: PEM.cert }
      ]
    }),
    says: [
      /platformKeys\[0\]\.serial: must be an id such as PUB_KEY_ID_/,
      /platformKeys\[1\]\.publicKey: must hold the public key of WeChat Pay, not a private key/,
      /platformKeys\[2\]\.serial: is the serial of another key, on line/,
      /platformKeys\[2\]\.publicKey: must hold a readable public key or certificate in PEM/,
      /platformKeys\[3\]\.serial: is not the serial number of the certificate \(write [0-9A-F]+\)/
    ]
  },
  {
    title: 'paths of unix sockets that no socket can have, and statuses of health checks',
    text: configText({
      upstreams: `{ a: { targets: [{ url: unix:run/a.sock }, { url: unix:/run/../a.sock }, { url: unix:/${'a'.repeat(103)} }] },
        b: { targets: [{ url: "unix:/run/a\\0.sock" }, { url: unix:/run/ }, { url: unix:/run/b.sock }],
             healthCheck: { path: healthz, status: [200, 299-200, 2xx], host: a b } },
        orders: { targets: [{ url: http://h }] } }`
    }),
    says: [
      /3:\d+ upstreams\.a\.targets\[0\]\.url: must name an absolute path, such as unix:\/run\/app\.sock/,
      /a\.targets\[1\]\.url: must not have "\." or "\.\." in its path/,
      /a\.targets\[2\]\.url: must have a path of at most 103 bytes/,
      /4:\d+ upstreams\.b\.targets\[0\]\.url: must not have control characters/,
      /b\.targets\[1\]\.url: must name a socket, not a directory/,
      /b\.healthCheck\.path: must be a path that starts with "\/"/,
      /b\.healthCheck\.status\[1\]: must start with its lower status/,
      /b\.healthCheck\.status\[2\]: must be a status such as 200, or a range such as 200-399/,
      /b\.healthCheck\.host: must be a host name/
    ]
  },
  {
    title: 'a client certificate without its key, and text that is not PEM',
    text: configText({ upstreams: '{ orders: { targets: [{ url: https://h }], tls: { cert: x } } }' }),
    says: [/tls\.cert: must hold a PEM block/, /tls: needs cert and key together/]
  },
  {
    title: 'an upstream without targets',
    text: configText({ upstreams: '{ orders: { targets: [] } }' }),
    says: [/targets: must have at least one entry/]
  },
  {
    title: 'an upstream with an invalid name',
    text: configText({ upstreams: '{ orders: { targets: [{ url: http://h }] }, "a/b": { targets: [] } }' }),
    says: [/upstreams\["a\/b"\]: not a valid name/]
  }
]

for (const { title, text, says } of rejected) {
  test(`refused: ${title}`, async (t) => {
    const found = problems(text).sort().join('\n')
    t.equal(problems(text).length, says.length, found)
    for (const sentence of says)
      t.ok(
        found.split('\n').some((line) => sentence.test(line)),
        `${sentence} in ${found}`
      )
  })
}

test('certificates and keys are read, and must match', async (t) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const form = { type: 'pkcs8', format: 'pem' } as const
  const readFile = files({
    '/etc/wxgate/cert': { text: PEM.cert, mode: 0o644 },
    '/etc/wxgate/key': { text: PEM.key },
    '/etc/wxgate/other': { text: String(privateKey.export(form)) },
    '/etc/wxgate/locked': { text: String(privateKey.export({ ...form, cipher: 'aes-128-cbc', passphrase: 'x' })) },
    '/etc/wxgate/spoilt': { text: '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n' }
  })
  const tls = (upstream: string, edge: string) =>
    load(
      configText(
        { upstreams: `{ orders: { targets: [{ url: https://h }], tls: { ${upstream} } } }` },
        `server: { tls: { ${edge} } }`
      ),
      { readFile }
    )
  const file = (name: string) => `{ file: ${name} }`
  const good = `cert: ${file('cert')}, key: ${file('key')}`
  const result = tls(`ca: ${file('cert')}, ${good}`, good)
  t.match(result, { ok: true })
  t.same(result.warnings, [], 'a certificate is not a secret')
  const found = (upstream: string, edge: string) => {
    const refused = tls(upstream, edge)
    return refused.ok ? [] : refused.problems.map(({ path, message }) => `${path} ${message}`)
  }
  t.same(found(`cert: ${file('cert')}, key: ${file('other')}`, `cert: ${file('cert')}, key: ${file('other')}`), [
    'upstreams.orders.tls.key does not belong to the certificate',
    'server.tls.key.file does not belong to the certificate'
  ])
  t.same(found(`ca: ${file('spoilt')}`, `cert: ${file('key')}, key: ${file('cert')}`), [
    'upstreams.orders.tls.ca must hold a readable certificate in PEM',
    'server.tls.cert.file must hold a readable certificate in PEM',
    'server.tls.key.file must hold a readable private key in PEM'
  ])
  t.match(found('', `cert: ${file('cert')}, key: ${file('locked')}`), [/^server\.tls\.key\.file .* not encrypted/])
})
