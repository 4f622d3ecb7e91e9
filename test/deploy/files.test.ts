/** Unit, proxies without a package, .http file and workflows: complete, and fit the product.
 *  Programs that this machine has check their own files. */
import { globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { parse } from 'yaml'
import { IDENTITY_HEADERS, OPEN_DATA_HEADER } from '../../src/http/headers/header-names.ts'
import { APPID, buildTestGateway, SERVICE_TOKEN } from '../support/gateway.ts'
import { ROOT, readDocument } from '../support/markdown.ts'
import { findProgram, runProgram } from '../support/programs.ts'
import { createFolder, sample } from '../support/proxies.ts'
import { startUpstream } from '../support/upstream.ts'
import { at, type Tree } from '../support/yaml-parts.ts'

test('systemd accepts the unit and rates its sandbox; logrotate accepts its file', async (t) => {
  const unit = readDocument('deploy/systemd/wxgate.service')
  const folder = createFolder(t)
  const file = join(folder, 'wxgate.service')
  writeFileSync(file, unit.replaceAll('/usr/local/bin/wxgate', process.execPath))
  const analyze = findProgram(t, 'systemd-analyze')
  if (analyze !== null) {
    const verified = await runProgram(analyze, ['verify', '--man=no', file])
    t.equal(
      verified.stderr
        .split('\n')
        .filter((line) => line.includes('wxgate'))
        .join('\n'),
      ''
    )
    const rated = await runProgram(analyze, ['security', '--offline=true', '--threshold=20', file])
    t.equal(rated.status, 0, rated.stdout.slice(-300))
  }
  const user = readDocument('deploy/systemd/wxgate.sysusers.conf')
  t.match(user, /^u wxgate - /m)
  const logrotate = findProgram(t, 'logrotate')
  if (logrotate !== null) {
    const args = ['--debug', '--state', join(folder, 'state'), join(ROOT, 'deploy/logrotate/wxgate')]
    const { status, stderr } = await runProgram(logrotate, args)
    t.equal(status, 0, stderr)
    t.notMatch(stderr, /^error/m)
  }
})

test('Traefik removes every spelling of an identity, asks wxgate, and passes no credential on', (t) => {
  const { http } = parse(sample('traefik.yml')) as { http: Tree }
  t.same(Object.keys(http), ['routers', 'middlewares', 'services'])
  for (const [name, router] of Object.entries(http.routers as Record<string, Tree>)) {
    for (const used of (router.middlewares ?? []) as string[]) t.ok(used in (http.middlewares as Tree), used)
    t.ok(String(router.service) in (http.services as Tree), name)
    const chain = (router.middlewares as string[]).slice(name === 'login' ? 0 : 1)
    t.same(chain, name === 'login' ? ['no-trace'] : ['no-trace', 'wxgate', 'no-credential'], name)
  }
  const auth = at(http, 'middlewares', 'wxgate', 'forwardAuth') as Tree
  t.match(auth, { address: 'http://127.0.0.1:9090/auth/verify', authRequestHeaders: ['Authorization'] })
  // Go has (?i) at the start of a pattern, JavaScript a flag.
  const removed = new RegExp(String(auth.authResponseHeadersRegex).replace('(?i)', ''), 'i')
  for (const name of [...IDENTITY_HEADERS, OPEN_DATA_HEADER, 'X-WX-OPENID', 'X-WX-Anything']) {
    for (const mark of ['-', '_', '.']) t.match(name.replaceAll('-', mark), removed)
  }
  for (const name of ['X-Request-Id', 'X-Forwarded-For', 'Authorization', 'Content-Type']) t.notMatch(name, removed)
  t.end()
})

test('Envoy removes every identity header before it asks wxgate, and copies those of the answer', (t) => {
  const text = sample('envoy.yaml')
  const envoy = parse(text) as Tree
  const manager = at(envoy, 'static_resources', 'listeners', 0, 'filter_chains', 0, 'filters', 0, 'typed_config')
  const filters = at(manager, 'http_filters') as { name: string; typed_config: Tree }[]
  t.same(
    filters.map(({ name }) => name.replace('envoy.filters.http.', '')),
    ['header_mutation', 'ext_authz', 'router']
  )
  for (const { typed_config: config } of filters)
    t.match(config['@type'], /^type\.googleapis\.com\/envoy\.extensions\./)
  const removed = (at(filters, 0, 'typed_config', 'mutations', 'request_mutations') as { remove: string }[]).map(
    (one) => one.remove
  )
  const patterns = at(
    filters,
    1,
    'typed_config',
    'http_service',
    'authorization_response',
    'allowed_upstream_headers',
    'patterns'
  )
  const copied = (patterns as { exact: string }[]).map(({ exact }) => exact)
  const nginx = sample('nginx-forward-auth.conf')
  const stripped = [...nginx.matchAll(/proxy_set_header (X-(?!Forwarded|Real)[\w-]+) /g)].map(([, name = '']) =>
    name.toLowerCase()
  )
  t.same([...new Set(stripped)].sort(), [...removed].sort(), 'the same names as for nginx')
  t.same(copied.sort(), IDENTITY_HEADERS.map((name) => name.toLowerCase()).sort())
  t.same(at(manager, 'route_config', 'request_headers_to_remove'), ['traceparent', 'tracestate'])
  t.equal(at(manager, 'common_http_protocol_options', 'headers_with_underscores_action'), 'DROP_HEADER')
  const clusters = (at(envoy, 'static_resources', 'clusters') as { name: string }[]).map(({ name }) => name)
  for (const [, name = ''] of text.matchAll(/cluster: ([\w-]+)/g)) t.ok(clusters.includes(name), name)
  t.end()
})

test('every request of the .http file has an endpoint', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, { config: { wechat: { apiBase: 'sandbox', timeout: '5s' } } })
  const { access_token: token, refresh_token: refresh } = await gateway.login('alice')
  const fill: Readonly<Record<string, string>> = {
    '{{edge}}': gateway.url,
    '{{service}}': gateway.serviceUrl,
    '{{serviceToken}}': SERVICE_TOKEN,
    '{{appid}}': APPID,
    '{{openid}}': 'oAlice000000000000000000',
    '{{userId}}': 'u_0000000000000000000000',
    '{{login.response.body.access_token}}': token,
    '{{login.response.body.refresh_token}}': refresh
  }
  const requests = readDocument('deploy/http/wxgate.http')
    .split(/^### .*\n/m)
    .slice(1)
  t.ok(requests.length > 40)
  for (const request of requests) {
    const filled = Object.entries(fill).reduce((text, [from, to]) => text.replaceAll(from, to), request)
    const [head = '', body = ''] = filled.split(/\n\n/)
    const [, method = '', url = ''] = /^([A-Z]+) (\S+)$/m.exec(head) ?? []
    const headers = Object.fromEntries(
      [...head.matchAll(/^([A-Z][\w-]+): (.*)$/gm)].map(([, name, value]) => [name, value])
    )
    if (url.includes('/wxapi/')) continue
    const response = await fetch(url, { method, headers, ...(body.trim() === '' ? {} : { body }) })
    const isProblem = response.headers.get('content-type')?.startsWith('application/problem+json')
    const { code } = isProblem ? ((await response.json()) as { code: string }) : { code: 'none' }
    // An event stream has no end.
    if (!isProblem) await response.body?.cancel()
    t.notOk(
      ['no_route', 'method_not_allowed', 'internal_error', 'token_missing'].includes(code),
      `${method} ${url}: ${code}`
    )
  }
})

test('the test workflow installs every program that a test looks for', (t) => {
  const workflow = readDocument('.github/workflows/test.yml')
  // Packages of another name, and a program of the machine itself.
  const packages: Readonly<Record<string, string>> = {
    promtool: 'prometheus',
    php: 'php-cli',
    'systemd-analyze': 'systemctl'
  }
  const names = globSync('test/**/*.ts', { cwd: ROOT }).flatMap((file) =>
    [...readDocument(file).matchAll(/findProgram\(t, '([\w-]+)'/g)].map(([, name = '']) => name)
  )
  t.ok(names.length > 8)
  for (const name of names) t.ok(workflow.includes(packages[name] ?? name), name)
  t.end()
})

test('workflows pin every action by its hash, and grant no more than they need', (t) => {
  const names = globSync('.github/workflows/*.yml', { cwd: ROOT })
  t.same(names.sort(), ['.github/workflows/release.yml', '.github/workflows/test.yml'])
  for (const name of names) {
    const text = readDocument(name)
    for (const [, action = ''] of text.matchAll(/uses: (.*)/g)) {
      t.match(action, /^(\.\/\.github\/workflows\/\w+\.yml|[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/, name)
    }
    t.same(at(parse(text), 'permissions'), { contents: 'read' }, name)
  }
  t.same(at(parse(readDocument('.github/workflows/test.yml')), 'jobs', 'test', 'strategy', 'matrix', 'node'), [24, 26])
  t.notMatch(readDocument('.github/workflows/release.yml'), /github\.repository\b/, 'an image has a name in lower case')
  t.end()
})
