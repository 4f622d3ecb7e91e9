// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of gateway.yaml, not of JavaScript
/** Reading gateway.yaml: YAML itself, types, variables, files. */
import { test } from 'tap'
import { nearestName } from '../src/config/problem.ts'
import { parseDuration, parseSize } from '../src/config/units.ts'
import { configText, files, load, problems, SECRET, warnings } from './support/config.ts'

test('a valid file is read, with defaults in milliseconds and bytes', async (t) => {
  const result = load(`\ufeff${configText()}`)
  if (!result.ok) throw new Error('not read')
  t.same(result.warnings, [])
  t.match(result.config, {
    server: { host: '0.0.0.0', port: 8080, workers: 1, tls: null, drain: { delay: 5000, timeout: 30_000 } },
    service: { host: '127.0.0.1', port: 9090, tokens: [] },
    secrets: [SECRET],
    wechat: { apiBase: 'https://api.weixin.qq.com', timeout: 5000 },
    apps: [{ appId: 'wx1234567890abcdef', name: null, secret: 's3cret' }],
    tokens: { algorithm: 'HS256', accessTtl: 7_200_000, refreshTtl: 2_592_000_000, refreshMaxTtl: 15_552_000_000 },
    sessions: { sessionKeyTtl: 7_200_000, storeGrace: 300_000 },
    login: { hook: null },
    store: 'sqlite:/etc/wxgate/data/wxgate.db',
    logging: { level: 'info', access: true, format: null }
  })
  const { limits } = result.config.server
  t.same(limits, {
    uri: 8192,
    headers: 16_384,
    body: 10_485_760,
    headersTimeout: 15_000,
    bodyIdleTimeout: 60_000,
    writeIdleTimeout: 60_000,
    keepAliveTimeout: 72_000,
    connectionsPerPeer: 1024
  })
  t.match(result.config.routes, [{ path: '/api', methods: null, auth: 'required', bodyLimit: 10_485_760 }])
  t.same(result.routeLines, [4])
})

test('every problem is reported at once, in the order of the file', async (t) => {
  const text =
    'version: 2\nserver: { prot: 1 }\ntokens: { accessTtl: 1 }\nroutes: [{ path: /a, upstream: b, auth: requird }]\n'
  t.same(problems(text), [
    'gateway.yaml:1:1 secrets: is missing (write ["${WXGATE_SECRET}"])',
    'gateway.yaml:1:1 apps: is missing (write [{ appid: wx1234567890abcdef, secret: "${WECHAT_APPSECRET}" }])',
    'gateway.yaml:1:1 upstreams: is missing (write { orders: { targets: [{ url: http://10.0.0.5:3000 }] } })',
    'gateway.yaml:1:10 version: must be 1',
    'gateway.yaml:2:11 server.prot: unknown key (did you mean "port"?)',
    'gateway.yaml:3:22 tokens.accessTtl: must be a duration such as 10ms, 30s, 5m, 2h or 30d (write it with a unit, such as 30s)',
    'gateway.yaml:4:41 routes[0].auth: must be one of required, optional, public (did you mean "required"?)'
  ])
})

test('a variable is filled in after parsing, and its content is never read as YAML', async (t) => {
  const hostile = 'x}, admin: [1]\n# y: "z" ${HOME} *a &b !!c'
  const result = load(configText({ apps: '[{ appid: wx1234567890abcdef, secret: s3cret, name: "a ${S} b" }]' }), {
    env: { S: hostile }
  })
  t.match(result, { ok: true, config: { apps: [{ name: `a ${hostile} b` }] } })
})

test('a placeholder may stand in a flow collection, with a default that holds its punctuation', async (t) => {
  const result = load(configText({ apps: '[{ appid: wx1234567890abcdef, secret: ${S:-a, [b]}, name: ${N} }]' }), {
    env: { N: 'n' }
  })
  t.match(result, { ok: true, config: { apps: [{ secret: 'a, [b]', name: 'n' }] } })
})

test('a default counts for an unset and for an empty variable, and an empty variable without one is empty', async (t) => {
  const text = configText({ apps: '[{ appid: wx1234567890abcdef, secret: "${A:-one}${B:-two}x${C}$${D}" }]' })
  t.match(load(text, { env: { B: '', C: '' } }), { ok: true, config: { apps: [{ secret: 'onetwox${D}' }] } })
})

test('variables that every object inherits are not set', async (t) => {
  t.match(problems(configText({ secrets: '["${constructor}", "${__proto__}"]' })), [
    /constructor is not set/,
    /__proto__ is not set/
  ])
})

test('a placeholder without quotes can be a number or a boolean, one in quotes is text', async (t) => {
  const env = { PORT: '8081', ACCESS: 'false' }
  const text = 'server: { port: ${PORT:-8080}, workers: ${WORKERS:-auto} }\nlogging: { access: ${ACCESS} }'
  t.match(load(configText({}, text), { env }), {
    config: { server: { port: 8081, workers: 'auto' }, logging: { access: false } }
  })
  t.match(load(configText({}, text), { env: { ACCESS: 'FALSE' } }), { config: { logging: { access: false } } })
  t.match(problems(configText({}, 'server: { port: "${PORT}" }'), { env }), [
    /server\.port: must be a whole number \(remove the quotes\)/
  ])
  t.match(problems(configText({}, 'server: { port: ${PORT} }'), { env: { PORT: '08081' } }), [
    /server\.port: must be a whole number/
  ])
  t.match(problems(configText({}, 'server: { port: ${PORT:-} }')), [/server\.port: must be a whole number/])
})

test('text that looks like private-use characters survives', async (t) => {
  const text = configText({ apps: '[{ appid: wx1234567890abcdef, secret: ${S}, name: "\ue000\ue001\ue002" }]' })
  t.match(load(text, { env: { S: 's' } }), {
    ok: true,
    config: { apps: [{ secret: 's', name: '\ue000\ue001\ue002' }] }
  })
})

test('an alias is replaced by a copy of its anchor', async (t) => {
  const upstreams = '{ a: { targets: &t [{ url: http://10.0.0.1 }] }, b: { targets: *t } }'
  const result = load(configText({ upstreams, routes: '[]' }))
  t.match(result, {
    ok: true,
    config: { upstreams: [{ name: 'a' }, { name: 'b', targets: [{ url: 'http://10.0.0.1', weight: 1 }] }] }
  })
})

test('Y13 a secret in a file loses one newline, and is refused when empty', async (t) => {
  const readFile = files({
    '/etc/wxgate/keys/a': { text: `${SECRET}\r\n` },
    '/run/secrets/b': { text: `${SECRET}-old\n` },
    '/etc/wxgate/two': { text: `${SECRET}-two\n\n` },
    '/etc/wxgate/empty': { text: '\n' },
    '/etc/wxgate/open': { text: `${SECRET}-open`, mode: 0o644 }
  })
  const text = configText({ secrets: '[{ file: keys/a }, { file: ${DIR}/b }]' })
  t.match(load(text, { readFile, env: { DIR: '/run/secrets' } }), { config: { secrets: [SECRET, `${SECRET}-old`] } })
  t.match(problems(configText({ secrets: '[{ file: two }]' }), { readFile }), [/secrets\[0\]: ends in a line feed/])
  t.same(problems(configText({ secrets: '[{ file: empty }]' }), { readFile }), [
    'gateway.yaml:1:19 secrets[0].file: the file is empty'
  ])
  t.same(warnings(configText({ secrets: '[{ file: open }]' }), { readFile }), [
    'gateway.yaml:1:19 secrets[0].file: every user of this machine can read the file (chmod 600)'
  ])
  t.match(problems(configText({ secrets: '[{ file: a, fiel: b }]' })), [
    /secrets\[0\]: must be text that is not empty, or \{ file: PATH \}/
  ])
})

test('a file that is missing, not a regular file or not UTF-8 is a problem, not an exception', async (t) => {
  const base = { env: {}, production: false, allow: new Set<string>(), cwd: '/nowhere' }
  const { loadConfig } = await import('../src/config/load.ts')
  t.match(loadConfig({ ...base, file: 'gateway.yaml' }), {
    ok: false,
    problems: [{ message: 'the file cannot be read: there is no such file' }]
  })
  t.match(loadConfig({ ...base, file: '/dev/zero' }), {
    ok: false,
    problems: [{ message: 'the file cannot be read: not a regular file' }]
  })
  const readFile = () => ({ content: Uint8Array.of(0xff, 0xfe, 0x61), mode: 0 })
  t.match(loadConfig({ ...base, file: 'x', readFile }), { ok: false, problems: [{ message: /not UTF-8/ }] })
})

test('no problem repeats a value that may be a secret', async (t) => {
  const canary = 'CANARY-canary'
  const text = `secrets: [${canary}, { fiel: ${canary} }, ${canary}]
apps: [{ appid: ${canary}, secret: [${canary}] }]
service: { tokens: [{ name: a, token: ${canary}, scopes: [${canary}] }], port: ${canary} }
store: ${canary}
wechat: { apiBase: ${canary}, timeout: ${canary} }
upstreams: { a: { targets: [{ url: http://u:${canary}@h }], tls: { key: ${canary} } } }
routes: []
`
  const found = problems(text)
  t.ok(found.length > 10)
  t.notMatch(found.join('\n'), /CANARY-canary/)
})

test('durations and sizes are whole numbers with a unit', async (t) => {
  t.same(
    ['10ms', '30s', '5m', '2h', '30d', '0s'].map(parseDuration),
    [10, 30_000, 300_000, 7_200_000, 2_592_000_000, 0]
  )
  t.same(['', '1', '1.5h', '-1s', '01s', '1 s', '1S', '1w', '1s '].map(parseDuration), Array(9).fill(null))
  t.same(['512b', '64kb', '10mb', '1gb'].map(parseSize), [512, 65_536, 10_485_760, 1_073_741_824])
  t.same(['', '1', '1k', '1KB', '1.5mb', '1e3b'].map(parseSize), Array(6).fill(null))
  t.match(problems(configText({}, 'server: { limits: { headersTimeout: 30d, uri: 1b } }')), [
    /from 10ms to 1h/,
    /from 64b to 1mb/
  ])
})

test('the nearest name is found across case, separators and small mistakes, and none is invented', async (t) => {
  const names = ['accessTtl', 'refreshTtl', 'issuer', 'upstream', 'auth']
  t.same(
    ['access_ttl', 'ACCESSTTL', 'isuser', 'upstraem', 'auht', 'refresh'].map((word) => nearestName(word, names)),
    ['accessTtl', 'accessTtl', 'issuer', 'upstream', 'auth', 'refreshTtl']
  )
  t.same(
    ['', 'x', 'healthCheck', '_'].map((word) => nearestName(word, names)),
    [undefined, undefined, undefined, undefined]
  )
})
