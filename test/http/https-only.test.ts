/** HSTS and the port that redirects to https. */
import { connect as connectTls } from 'node:tls'
import { type Test, test } from 'tap'
import { hasOpenssl } from '../support/certificates.ts'
import { configText, load } from '../support/config.ts'
import { buildTestGateway, defaultConfig, type TestGateway } from '../support/gateway.ts'
import { headerV1 } from '../support/proxy-headers.ts'
import { exchange, get } from '../support/raw-client.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

const HSTS = 'max-age=15552000; includeSubDomains'

/** A gateway with both options, for api.example and *.shop.example. */
async function start(t: Test, more: object = {}) {
  const certificate = hasOpenssl(t)?.make('api', 'DNS:api.example,DNS:*.shop.example,IP:127.0.0.1,IP:::1')
  if (!certificate) return null
  const { certFile, keyFile } = certificate
  const upstream = await startUpstream(t, (req, res) => {
    if (req.url === '/public/own') res.setHeader('strict-transport-security', 'max-age=1')
    res.end('fine')
  })
  const { server } = defaultConfig(upstream.url) as { server: object }
  const config = {
    server: {
      ...server,
      tls: { cert: { file: certFile }, key: { file: keyFile } },
      hsts: { maxAge: '180d', includeSubDomains: true },
      redirectHttp: { port: 0 },
      ...more
    }
  }
  return { upstream, gateway: await buildTestGateway(t, upstream.url, { config }) }
}

async function askTls(port: number, request: string): Promise<string> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
  let text = ''
  socket.on('data', (chunk) => (text += chunk))
  socket.write(request)
  await until(() => text.includes('\r\n\r\n'))
  socket.destroy()
  return text
}

const hstsIn = (text: string) =>
  text
    .split('\r\n')
    .filter((line) => /^strict-transport-security:/i.test(line))
    .map((line) => line.replace(/^[^:]*: */, ''))

for (const fastLane of [true, false]) {
  test(`${fastLane ? 'fast' : 'general'} lane: answers over TLS carry HSTS once, and answers in clear never`, async (t) => {
    const started = await start(t, { fastLane })
    if (started === null) return
    const { gateway } = started
    const expected: readonly (readonly [string, string])[] = [
      ['/public/x', HSTS],
      ['/public/own', 'max-age=1'],
      ['/api/x', HSTS],
      ['/nowhere', HSTS],
      ['/livez', HSTS],
      ['/auth/session', HSTS]
    ]
    for (const [path, value] of expected) t.same(hstsIn(await askTls(gateway.port, get(path))), [value], path)
    for (const path of ['/livez', '/public/x']) {
      t.same(hstsIn((await exchange(gateway.redirectPort, get(path))).text), [], `${path} in clear`)
    }
    const server = { ...gateway.config.server, hsts: 'max-age=0' }
    await gateway.gateway.reload({ ...gateway.config, server })
    for (const path of ['/public/x', '/livez', '/auth/session']) {
      t.same(hstsIn(await askTls(gateway.port, get(path))), ['max-age=0'], `${path} after a reload`)
    }
  })
}

test('behind a proxy, the proto that it tells decides about HSTS', async (t) => {
  const upstream = await startUpstream(t)
  const { server } = defaultConfig(upstream.url) as { server: object }
  const config = { server: { ...server, hsts: {}, trustedProxies: ['127.0.0.1'] } }
  const gateway = await buildTestGateway(t, upstream.url, { config })
  for (const path of ['/public/x', '/livez']) {
    t.same(hstsIn(await gateway.raw(get(path))), [])
    const told = get(path, undefined, 'X-Forwarded-Proto: https\r\n')
    t.same(hstsIn(await gateway.raw(told)), ['max-age=15552000'])
  }
})

interface Answered {
  readonly status: number | undefined
  readonly location: string | undefined
  readonly code: string | undefined
}

async function askPlain({ redirectPort }: TestGateway, request: string, isHead = false): Promise<Answered> {
  const { responses, text } = await exchange(redirectPort, request, { bodiless: isHead ? [0] : [] })
  return {
    status: responses[0]?.status,
    location: /\r\nlocation: ([^\r]*)/i.exec(text)?.[1],
    code: /"code":"(\w+)"/.exec(text)?.[1]
  }
}

test('the plain port redirects GET and HEAD to a host that a certificate covers, and refuses the rest', async (t) => {
  const started = await start(t)
  if (started === null) return
  const { gateway, upstream } = started
  const line = (method: string, target: string, host: string, more = '') =>
    `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`
  const to = (location: string) => ({ status: 308, location, code: undefined })
  const secret = 'Authorization: Bearer canary\r\n'
  t.same(
    await askPlain(gateway, line('GET', '/public/x?a=%20b', 'api.example', secret)),
    to('https://api.example/public/x?a=%20b')
  )
  t.same(await askPlain(gateway, line('HEAD', '/', 'API.example:8081'), true), to('https://API.example/'))
  t.same(
    await askPlain(gateway, line('GET', '/auth/session', 'a.shop.example')),
    to('https://a.shop.example/auth/session')
  )
  t.same(await askPlain(gateway, line('GET', 'http://api.example/x', 'api.example')), to('https://api.example/x'))
  t.same(await askPlain(gateway, line('GET', '/', '[::1]:8081')), to('https://[::1]/'))
  const upgrade =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
  t.same(
    await askPlain(gateway, line('GET', '/public/ws', 'api.example', upgrade)),
    to('https://api.example/public/ws')
  )

  const refused = (code: string, status = 400) => ({ status, location: undefined, code })
  const unknown = ['evil.example', 'api.example.evil.example', 'b.a.shop.example', '[::2]']
  const noLabel = ['a%2fb.shop.example', 'a,b.shop.example', '-a.shop.example', `${'a'.repeat(64)}.shop.example`]
  for (const host of [...unknown, ...noLabel]) {
    t.same(await askPlain(gateway, line('GET', '/', host)), refused('invalid_request'), `host ${host}`)
  }
  for (const host of ['', 'api.example/evil', 'evil@api.example', 'api.example evil', 'api.example:80:80']) {
    t.same(await askPlain(gateway, line('GET', '/', host)), refused('bad_header'), `host ${host}`)
  }
  t.same(await askPlain(gateway, 'GET / HTTP/1.0\r\n\r\n'), refused('invalid_request'), 'no host')
  const body = '{"code":"sandbox-alice"}'
  const typed = `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const login = line(method, '/auth/login', 'api.example', typed) + body
    t.same(await askPlain(gateway, login), refused('invalid_request'), method)
  }
  t.same(await askPlain(gateway, line('POST', '/public/x', 'api.example', typed) + body), refused('invalid_request'))
  t.same(await askPlain(gateway, line('GET', '//evil.example', 'api.example')), refused('bad_path'))
  t.match(await askPlain(gateway, line('GET', '/%5cevil', 'api.example')), { status: 400 })

  for (const path of ['/livez', '/readyz', '/healthz'])
    t.match(await askPlain(gateway, line('GET', path, 'lb')), { status: 200 })
  t.equal(upstream.seen.length, 0, 'nothing in clear reached the upstream')
  const metrics = await (await gateway.service('/metrics')).text()
  t.notMatch(metrics, /^wxgate_logins_total\{.*\} [1-9]/m, 'nor a login')
  t.notMatch(gateway.lines.join(''), /canary|sandbox-alice/)
  await gateway.gateway.reload({ ...gateway.config })
  t.match(await askPlain(gateway, line('GET', '/', 'api.example')), { status: 308 }, 'after a reload')
})

test('the redirect names the port that is told, and meets no loop behind a proxy', async (t) => {
  const started = await start(t, {
    redirectHttp: { port: 0, httpsPort: 8443 },
    proxyProtocol: ['127.0.0.1'],
    trustedProxies: ['192.0.2.1']
  })
  if (started === null) return
  const ask = (header: string, more = '') =>
    askPlain(started.gateway, `${header}GET /x HTTP/1.1\r\nHost: api.example\r\n${more}\r\n`)
  t.match(await ask(headerV1('192.0.2.7')), { status: 308, location: 'https://api.example:8443/x' })
  t.match(await ask(headerV1('192.0.2.1'), 'X-Forwarded-Proto: https\r\n'), { status: 400, location: undefined })
  t.match(await ask(headerV1('192.0.2.1'), 'X-Forwarded-Host: b.shop.example\r\n'), {
    location: 'https://b.shop.example:8443/x'
  })
  for (const host of ['134744072/.shop.example', '134744072#.shop.example', 'x@1.shop.example']) {
    const answered = await ask(headerV1('192.0.2.1'), `X-Forwarded-Host: ${host}\r\n`)
    t.same(answered, { status: 400, location: undefined, code: 'invalid_request' }, host)
  }
  t.match(await ask(''), { status: undefined }, 'a listed peer without a header')
})

test('the options are checked with the rest of the listener', async (t) => {
  const found = (server: string, extra = '') => {
    const result = load(configText({}, `server: ${server}\n${extra}`))
    return result.ok ? [] : result.problems.map(({ path, message }) => `${path} ${message}`)
  }
  t.same(found('{ redirectHttp: { port: 8081 } }'), [
    'server.redirectHttp needs server.tls: there is no https to redirect to'
  ])
  t.match(found('{ port: 8080, redirectHttp: { port: 8080 } }'), [
    /needs server\.tls/,
    /is the port of the public edge/
  ])
  t.ok(
    found('{ host: 127.0.0.1, redirectHttp: { port: 9090 } }').includes(
      'service.port is the port of the public edge (server.redirectHttp.port)'
    )
  )
  t.match(found('{ redirectHttp: {} }'), [/server\.redirectHttp\.port is missing/])
  t.same(found('{ hsts: { maxAge: 365d, includeSubDomains: true, preload: true } }'), [])
  for (const hsts of ['{ preload: true }', '{ maxAge: 30d, includeSubDomains: true, preload: true }']) {
    t.same(found(`{ hsts: ${hsts} }`), [
      'server.hsts.preload needs includeSubDomains: true and a maxAge of at least 365d'
    ])
  }
})
