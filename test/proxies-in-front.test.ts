/** Runs the samples of deploy/proxies that stand in front of the edge unchanged (except
 *  addresses, ports and certificates), with real traffic. */
import { writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { type Test, test } from 'tap'
import { hasOpenssl } from './support/certificates.ts'
import { startEchoSocket } from './support/echo-socket.ts'
import { buildTestGateway } from './support/gateway.ts'
import { blocksOf, readDocument } from './support/markdown.ts'
import { freePort } from './support/process.ts'
import { createFolder, sample, startHaproxy, startNginx } from './support/proxies.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

/** Starts a proxy before two addresses of one gateway and returns its port; null when a program
 *  is missing. */
type Start = (t: Test, edgePort: number) => Promise<number | null>

const PROXIES: Readonly<Record<string, Start>> = {
  async nginx(t, edgePort) {
    const certificate = hasOpenssl(t)?.make('proxy', 'DNS:api.example.com')
    if (!certificate) return null
    const port = await freePort()
    const config = sample('nginx.conf', {
      '10.0.0.11:8080': `127.0.0.1:${edgePort}`,
      '10.0.0.12:8080': `127.0.0.2:${edgePort} backup`,
      'worker_connections 4096': 'worker_connections 256',
      'listen 443': `listen 127.0.0.1:${port}`,
      '/etc/nginx/tls/fullchain.pem': certificate.certFile,
      '/etc/nginx/tls/privkey.pem': certificate.keyFile
    })
    return (await startNginx(t, config, port)) ? port : null
  },
  async HAProxy(t, edgePort) {
    const certificate = hasOpenssl(t)?.make('proxy', 'DNS:api.example.com')
    if (!certificate) return null
    const port = await freePort()
    const pem = join(createFolder(t), 'api.example.com.pem')
    writeFileSync(pem, certificate.cert + certificate.key)
    const config = sample('haproxy.cfg', {
      '10.0.0.11:8080': `127.0.0.1:${edgePort}`,
      '10.0.0.12:8080': `127.0.0.2:${edgePort} backup`,
      'bind :443': `bind 127.0.0.1:${port}`,
      '/etc/haproxy/api.example.com.pem': pem
    })
    return (await startHaproxy(t, config, port)) ? port : null
  }
}

interface Asked {
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: string | Buffer
  /** All of 127.0.0.0/8 is this machine. */
  readonly from?: string
}

function ask(port: number, { path, headers = {}, body, from = '127.0.0.1' }: Asked) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const options = {
      ...{ host: '127.0.0.1', port, path, localAddress: from, rejectUnauthorized: false, agent: false as const },
      ...{ method: body === undefined ? 'GET' : 'POST', servername: 'api.example.com' },
      headers: { host: 'api.example.com', ...headers }
    }
    const outgoing = request(options, (res) => {
      let text = ''
      res.setEncoding('utf8').on('data', (chunk) => (text += chunk))
      res.on('end', () => resolve({ status: res.statusCode ?? 0, text }))
      res.on('error', reject)
    })
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

const logIn = (port: number, name: string, from: string) =>
  ask(port, {
    path: '/auth/login',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': '7.7.7.7' },
    body: `{"code":"sandbox-${name}"}`,
    from
  })

/** A client that claims to be another, and chooses a trace. */
const SPOOFED = {
  'x-forwarded-for': '6.6.6.6',
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'evil.example',
  'x-forwarded-prefix': '/evil',
  'x-real-ip': '6.6.6.6',
  forwarded: 'for=6.6.6.6',
  'true-client-ip': '6.6.6.6',
  'x-client-ip': '6.6.6.6',
  'cf-connecting-ip': '6.6.6.6',
  traceparent: `00-${'6'.repeat(32)}-${'6'.repeat(16)}-01`,
  tracestate: 'evil=1'
}

const server = (more: object = {}) => ({ host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1'], ...more })

for (const [name, start] of Object.entries(PROXIES)) {
  test(`${name} in front: the backend receives the real client, whatever the client claims`, async (t) => {
    const backend = await startUpstream(t)
    const gateway = await buildTestGateway(t, backend.url, { config: { server: server() } })
    const port = await start(t, gateway.port)
    if (port === null) return
    t.equal((await ask(port, { path: '/public/x', headers: SPOOFED, from: '127.0.0.9' })).status, 200)
    const [seen] = backend.seen
    t.match(seen?.headers, {
      'x-forwarded-for': '127.0.0.9, 127.0.0.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'api.example.com'
    })
    t.notMatch(JSON.stringify(seen?.rawHeaders), /6\.6\.6\.6|6{16}|evil/)
    t.match(gateway.lines.at(-1), '"client":"127.0.0.9"')
  })

  test(`${name} in front: a limit per address counts clients`, async (t) => {
    const loginLimit = { max: 2, window: '1m', by: 'ip' }
    const gateway = await buildTestGateway(t, 'http://127.0.0.1:9', { config: { server: server({ loginLimit }) } })
    const port = await start(t, gateway.port)
    if (port === null) return
    const statuses: number[] = []
    for (let count = 0; count < 3; count++) statuses.push((await logIn(port, `a${count}`, '127.0.0.4')).status)
    t.same(statuses, [200, 200, 429])
    t.equal((await logIn(port, 'b', '127.0.0.5')).status, 200)
  })

  test(`${name} in front: login, an upload of 5 MB, and the limit of wxgate with its own answer`, async (t) => {
    const backend = await startUpstream(t)
    const limits = { body: '6mb' }
    const gateway = await buildTestGateway(t, backend.url, { config: { server: server({ limits }) } })
    const port = await start(t, gateway.port)
    if (port === null) return
    const { access_token: token } = JSON.parse((await logIn(port, 'alice', '127.0.0.1')).text)
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'text/plain' }
    const body = Buffer.alloc(5_000_000, 'x')
    t.equal((await ask(port, { path: '/api/upload', headers, body })).status, 200)
    t.equal(backend.seen.at(-1)?.body.length, body.length)
    t.match(backend.seen.at(-1)?.headers, { 'x-openid': /^o/ })
    const refused = await ask(port, { path: '/api/upload', headers, body: Buffer.alloc(7_000_000, 'x') })
    t.equal(refused.status, 413)
    t.match(JSON.parse(refused.text), { code: 'body_too_large' })
  })

  test(`${name} in front: a WebSocket passes`, async (t) => {
    const echo = await startEchoSocket(t)
    const gateway = await buildTestGateway(t, echo.url, { config: { server: server() } })
    const port = await start(t, gateway.port)
    if (port === null) return
    const { access_token: token } = JSON.parse((await logIn(port, 'alice', '127.0.0.1')).text)
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    t.teardown(() => socket.destroy())
    let received = ''
    socket.on('data', (chunk) => (received += chunk.toString('latin1')))
    socket.write(
      `GET /api/ws HTTP/1.1\r\nHost: api.example.com\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\n` +
        'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
    )
    await until(() => received.includes('\r\n\r\n'))
    t.match(received, /^HTTP\/1\.1 101 /)
    t.match(echo.seen[0], { 'x-openid': /^o/, 'x-forwarded-for': '127.0.0.1, 127.0.0.1' })
    socket.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]))
    await until(() => received.endsWith('hi'))
  })
}

test('a page shows whole files of deploy/proxies', (t) => {
  const shown = new Map<string, string[]>()
  for (const page of [
    'docs/operations.md',
    'docs/operations.zh-CN.md',
    'docs/forward-auth.md',
    'docs/forward-auth.zh-CN.md'
  ]) {
    for (const { text } of blocksOf(readDocument(page))) {
      const [, file] = /^(?:#|--) deploy\/proxies\/([\w.-]+)/.exec(text) ?? []
      if (file === undefined) continue
      t.equal(text, sample(file), `${page}: ${file}`)
      shown.set(file, [...(shown.get(file) ?? []), page])
    }
  }
  const files = ['Caddyfile', 'haproxy-forward-auth.cfg', 'haproxy.cfg', 'nginx-forward-auth.conf', 'nginx.conf']
  t.same([...shown.keys()].sort(), [...files, 'traefik.yml', 'wxgate-auth.lua'])
  t.same(shown.get('nginx.conf'), ['docs/operations.md', 'docs/operations.zh-CN.md'])
  t.end()
})
