/** The forward-auth samples of deploy/proxies, run as they are (only addresses are replaced)
 *  by real proxies. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { IDENTITY_HEADERS, OPEN_DATA_HEADER } from '../src/http/headers/header-names.ts'
import { startEchoSocket } from './support/echo-socket.ts'
import { APPID, buildTestGateway } from './support/gateway.ts'
import { freePort } from './support/process.ts'
import { createFolder, sample, startCaddy, startHaproxy, startNginxWith } from './support/proxies.ts'
import { openClient } from './support/raw-client.ts'
import { until } from './support/until.ts'
import { startUpstream, type TestUpstream } from './support/upstream.ts'

interface Ports {
  readonly edge: number
  readonly service: number
  readonly backend: number
}

const addresses = ({ edge, service, backend }: Ports) => ({
  '127.0.0.1:8081': `127.0.0.1:${edge}`,
  '127.0.0.1:9090': `127.0.0.1:${service}`,
  '127.0.0.1:3000': `127.0.0.1:${backend}`
})

/** Each starts a proxy and returns its port, or null when the program is missing. */
const PROXIES: Readonly<Record<string, (t: Test, ports: Ports) => Promise<number | null>>> = {
  async 'nginx auth_request'(t, ports) {
    const port = await freePort()
    const file = sample('nginx-forward-auth.conf', { ...addresses(ports), 'listen 8080': `listen 127.0.0.1:${port}` })
    return (await startNginxWith(t, file, port)) ? port : null
  },
  async 'Caddy forward_auth'(t, ports) {
    const port = await freePort()
    const file = sample('Caddyfile', { ...addresses(ports), ':8080 {': `http://:${port} {\n\tbind 127.0.0.1` })
    return (await startCaddy(t, file, port)) ? port : null
  },
  async 'HAProxy with Lua'(t, ports) {
    const port = await freePort()
    const script = join(createFolder(t), 'wxgate-auth.lua')
    writeFileSync(script, sample('wxgate-auth.lua', { '127.0.0.1:9090': `127.0.0.1:${ports.service}` }))
    const file = sample('haproxy-forward-auth.cfg', {
      '127.0.0.1:8081': `127.0.0.1:${ports.edge}`,
      '127.0.0.1:3000': `127.0.0.1:${ports.backend}`,
      'bind :8080': `bind 127.0.0.1:${port}`,
      '/etc/haproxy/wxgate-auth.lua': script
    })
    return (await startHaproxy(t, file, port)) ? port : null
  }
}

/** Every name under which a backend could read an identity, and a trace of the client. */
const FORGED = {
  'X-OpenId': 'EVIL',
  'x-unionid': 'EVIL',
  X_OpenId: 'EVIL',
  'X.OpenId': 'EVIL',
  x_unionid: 'EVIL',
  'X-User-Id': 'EVIL',
  'X-User-Status': 'EVIL',
  'X-Session-Id': 'EVIL',
  'X-AppId': 'EVIL',
  'X-Open-Data': 'EVIL',
  'X-WX-OPENID': 'EVIL',
  'x-wx-unionid': 'EVIL',
  'X-WX-APPID': 'EVIL',
  'X-WX-SOURCE': 'EVIL',
  'X-WX-FROM-OPENID': 'EVIL',
  'X-WX-FROM-UNIONID': 'EVIL',
  'X-WX-FROM-APPID': 'EVIL',
  'X-WX-CLOUDBASE-ACCESS-TOKEN': 'EVIL',
  X_WX_OPENID: 'EVIL',
  traceparent: `00-${'6'.repeat(32)}-${'6'.repeat(16)}-01`,
  tracestate: 'a=EVIL'
}

async function ask(port: number, path: string, headers: Record<string, string>, method = 'GET', body = '') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...(body === '' ? {} : { body }) })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

/** Through the proxy, to the edge. */
async function logIn(port: number): Promise<{ access_token: string; user: { id: string } }> {
  const headers = { 'content-type': 'application/json' }
  const { status, text } = await ask(port, '/auth/login', headers, 'POST', '{"code":"sandbox-alice"}')
  if (status !== 200) throw new Error(`the login was answered with ${status}`)
  return JSON.parse(text)
}

async function expectForwardAuth(t: Test, port: number, backend: TestUpstream): Promise<void> {
  const { access_token: token, user } = await logIn(port)
  const authorization = `Bearer ${token}`

  t.equal((await ask(port, '/orders?a=b', { authorization })).status, 200)
  const [first] = backend.seen
  t.equal(first?.url, '/orders?a=b')
  t.match(first?.headers, {
    'x-openid': /^o[\w-]{20,}$/,
    'x-user-id': user.id,
    'x-appid': APPID,
    'x-session-id': /./,
    'x-user-status': 'anonymous'
  })
  t.notOk('authorization' in (first?.headers ?? {}))

  t.equal((await ask(port, '/orders', { ...FORGED, authorization })).status, 200)
  const [, second] = backend.seen
  t.notMatch(JSON.stringify(second?.rawHeaders), /EVIL|6{16}/)
  t.equal(second?.headers['x-openid'], first?.headers['x-openid'])

  const posted = await ask(port, '/orders', { authorization, 'content-type': 'text/plain' }, 'POST', 'a body')
  t.equal(posted.status, 200)
  t.match(backend.seen.at(-1), { method: 'POST', body: 'a body' })

  const asked = backend.seen.length
  for (const [headers, code] of [
    [{}, 'token_missing'],
    [FORGED, 'token_missing'],
    [{ authorization: `${authorization}x` }, 'token_invalid'],
    [{ 'x-forwarded-uri': '/public', 'x-original-url': '/auth/login' }, 'token_missing']
  ] as const) {
    const refused = await ask(port, '/orders', { ...headers })
    t.equal(refused.status, 401)
    t.match(refused.headers.get('www-authenticate'), /^Bearer/)
    t.match(JSON.parse(refused.text), { code, action: 'login' })
  }
  t.equal((await ask(port, '/orders', {}, 'POST', 'a body')).status, 401)
  await ask(port, '/auth/logout', { authorization }, 'POST')
  t.match(JSON.parse((await ask(port, '/orders', { authorization })).text), { code: 'session_revoked' })
  t.equal(backend.seen.length, asked, 'the backend saw none of these')
}

async function startParts(t: Test) {
  const backend = await startUpstream(t)
  const gateway = await buildTestGateway(t, backend.url)
  return { backend, ports: { edge: gateway.port, service: gateway.servicePort, backend: backend.port } }
}

for (const [name, start] of Object.entries(PROXIES)) {
  test(`${name}: identity from wxgate, 401 otherwise, and no identity from the client`, async (t) => {
    const { backend, ports } = await startParts(t)
    const port = await start(t, ports)
    if (port !== null) await expectForwardAuth(t, port, backend)
  })

  test(`${name}: a client cannot have an identity header removed by naming it in Connection`, async (t) => {
    const { backend, ports } = await startParts(t)
    const port = await start(t, ports)
    if (port === null) return
    const { access_token: token } = await logIn(port)
    const names = [...IDENTITY_HEADERS, 'Authorization'].join(', ')
    const connections = [
      'Connection: close, X-OpenId',
      'Connection: x-openid',
      `Connection: keep-alive, ${names}`,
      'Connection: Upgrade\r\nConnection: X-OpenId, X-User-Id',
      'Connection: Upgrade, X-OpenId',
      'Connection: X-OpenId\r\nUpgrade: websocket',
      'Connection: X-OpenId\r\nUpgrade: h2c'
    ]
    for (const lines of connections) {
      const client = await openClient(t, port)
      client.send(`GET /orders HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n${lines}\r\n\r\n`)
      t.equal((await client.response()).status, 200, lines)
      client.close()
      const seen = backend.seen.at(-1)?.headers ?? {}
      for (const one of ['x-openid', 'x-appid', 'x-user-id', 'x-user-status', 'x-session-id'])
        t.ok(seen[one], `${lines}: ${one}`)
    }
    t.equal(backend.seen.length, connections.length)
  })

  test(`${name}: a client's identity headers without a matching one of wxgate are removed`, async (t) => {
    const backend = await startUpstream(t)
    // WeChat returns no unionid unless an app is bound to an open platform account.
    const service = await startUpstream(t, (_req, res) => res.writeHead(204, { 'x-openid': 'oREAL' }).end())
    const port = await start(t, { edge: 9, service: service.port, backend: backend.port })
    if (port === null) return
    const { status } = await ask(port, '/orders', { ...FORGED, authorization: 'Bearer good' })
    t.equal(status, 200)
    t.equal(backend.seen.at(-1)?.headers['x-openid'], 'oREAL')
    t.notMatch(JSON.stringify(backend.seen.at(-1)?.rawHeaders), /EVIL|6{16}/)
  })

  test(`${name}: a WebSocket needs a token and gets the identity`, async (t) => {
    const echo = await startEchoSocket(t)
    const gateway = await buildTestGateway(t, echo.url)
    const backend = Number(new URL(echo.url).port)
    const port = await start(t, { edge: gateway.port, service: gateway.servicePort, backend })
    if (port === null) return
    const { access_token: token } = await gateway.login('alice')
    const handshake = (credential: string) =>
      `GET /ws HTTP/1.1\r\nHost: a\r\n${credential}Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
    const refused = await openClient(t, port)
    refused.send(handshake(''))
    t.match(await refused.head(), /^HTTP\/1\.1 401 /)
    t.equal(echo.seen.length, 0)
    const client = await openClient(t, port)
    client.send(handshake(`Authorization: Bearer ${token}\r\n`))
    t.match(await client.head(), /^HTTP\/1\.1 101 /)
    t.match(echo.seen[0], { 'x-openid': /^o/ })
    client.send(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]))
    await until(() => client.pending.endsWith('hi'))
  })
}

test('the samples name every identity header', (t) => {
  for (const name of [...IDENTITY_HEADERS, OPEN_DATA_HEADER]) {
    t.match(sample('nginx-forward-auth.conf'), `proxy_set_header ${name} `, name)
    t.match(sample('Caddyfile'), new RegExp(`request_header -${name.replace(/-(Id|Status)$/, '-($1|\\*)')}`), name)
  }
  t.end()
})

test('a proxy that repeats the method and type of the original request gets its answer, with or without the body', async (t) => {
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9')
  const { access_token: token } = await gateway.login('alice')
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'PURGE']) {
    for (const type of ['application/json', 'multipart/form-data; boundary=x', 'image/png', ';;;']) {
      for (const framing of ['', 'Content-Length: 0', 'Content-Length: 4', 'Transfer-Encoding: chunked']) {
        const client = await openClient(t, gateway.servicePort)
        const body = framing.endsWith('4') ? '{"a"' : framing.endsWith('d') ? '4\r\n{"a"\r\n0\r\n\r\n' : ''
        const ask = (credential: string) =>
          client.send(
            `${method} /auth/verify/orders HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer ${credential}\r\n` +
              `Content-Type: ${type}\r\n${framing && `${framing}\r\n`}\r\n${body}`
          )
        const label = `${method} ${type} ${framing}`
        ask(token)
        const good = await client.response()
        t.equal(good.status, 204, label)
        t.ok(good.headers['x-openid'], label)
        ask('forged')
        t.equal((await client.response()).status, 401, label)
        client.close()
      }
    }
  }
})

test('the rest of a path that a proxy appends plays no part: the token alone decides', async (t) => {
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9')
  const { access_token: token } = await gateway.login('alice')
  const paths = [
    '/api/%E4%B8%AD',
    '/api/a%20b',
    '/api//x',
    '/api/..',
    '/%2e%2e/metrics',
    '/a;b',
    '/a%',
    '/%00',
    '?x=%zz'
  ]
  const client = await openClient(t, gateway.servicePort)
  for (const path of paths) {
    for (const [credential, status] of [
      [token, 204],
      ['forged', 401]
    ]) {
      client.send(`GET /auth/verify${path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer ${credential}\r\n\r\n`)
      t.equal((await client.response()).status, status, path)
    }
  }
  client.send(`HEAD /auth/verify/x HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer ${token}\r\n\r\n`)
  t.equal((await client.response('HEAD')).status, 204)
})
