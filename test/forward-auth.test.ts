/** The samples of docs/forward-auth.md, run as they stand there (only the ports are exchanged) against real proxies. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { startEchoSocket } from './support/echo-socket.ts'
import { APPID, buildTestGateway } from './support/gateway.ts'
import { freePort } from './support/process.ts'
import { openClient } from './support/raw-client.ts'
import { until } from './support/until.ts'
import { startUpstream, type TestUpstream } from './support/upstream.ts'

const PAGE = readFileSync(new URL('../docs/forward-auth.md', import.meta.url), 'utf8')

/** The sample of a language under a heading. */
function sample(heading: string, language: string): string {
  const section = PAGE.slice(PAGE.indexOf(`\n## ${heading}\n`))
  const match = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(section)
  if (!match?.[1]) throw new Error(`docs/forward-auth.md has no ${language} under "${heading}"`)
  return match[1]
}

/** Null, with a comment, when this machine does not have it; in CI that is a failure. */
function findProgram(t: Test, name: string): string | null {
  const file = [`/usr/sbin/${name}`, `/usr/bin/${name}`, `/usr/local/bin/${name}`, `/opt/homebrew/bin/${name}`].find(
    existsSync
  )
  if (file) return file
  if (process.env.CI) t.fail(`${name} is not installed`)
  else t.comment(`NOT TESTED: ${name} is not installed`)
  return null
}

function createFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-proxy-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function run(t: Test, file: string, args: string[], port: number, folder: string): Promise<void> {
  let output = ''
  const child: ChildProcess = spawn(file, args, {
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  })
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
  t.teardown(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode !== null || !child.kill('SIGTERM')) return
    await gone
  })
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`${file} ended: ${output}`)
    const isUp = await openClient(t, port).then(
      (client) => {
        client.close()
        return true
      },
      () => false
    )
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`${file} does not listen: ${output}`)
}

interface Ports {
  readonly edge: number
  readonly service: number
  readonly backend: number
}

function withPorts(text: string, port: number, { edge, service, backend }: Ports): string {
  return text
    .replaceAll('127.0.0.1:8081', `127.0.0.1:${edge}`)
    .replaceAll('127.0.0.1:9090', `127.0.0.1:${service}`)
    .replaceAll('127.0.0.1:3000', `127.0.0.1:${backend}`)
    .replaceAll('listen 8080', `listen 127.0.0.1:${port}`)
    .replaceAll(':8080 {', `http://127.0.0.1:${port} {`)
}

async function startNginx(t: Test, heading: string, ports: Ports): Promise<number | null> {
  const file = findProgram(t, 'nginx')
  if (!file) return null
  const folder = createFolder(t)
  const port = await freePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`
  )
  const config = `daemon off; master_process off; worker_processes 1; pid ${folder}/pid; error_log stderr;
    events { worker_connections 256; }
    http { access_log off; ${temporary.join(' ')}
    ${withPorts(sample(heading, 'nginx'), port, ports)} }`
  writeFileSync(join(folder, 'nginx.conf'), config)
  await run(t, file, ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr'], port, folder)
  return port
}

async function startCaddy(t: Test, ports: Ports): Promise<number | null> {
  const file = findProgram(t, 'caddy')
  if (!file) return null
  const folder = createFolder(t)
  const port = await freePort()
  const config = `{\n\tadmin off\n\tauto_https off\n}\n${withPorts(sample('Caddy', 'caddyfile'), port, ports)}`
  writeFileSync(join(folder, 'Caddyfile'), config)
  await run(t, file, ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], port, folder)
  return port
}

/** Every name under which some backend would read an identity. */
const FORGED = {
  'X-OpenId': 'EVIL',
  'x-unionid': 'EVIL',
  X_OpenId: 'EVIL',
  'X.OpenId': 'EVIL',
  x_unionid: 'EVIL',
  'X-User-Id': 'EVIL',
  'X-User-Status': 'EVIL',
  'X-Session-Id': 'EVIL',
  'X-AppId': 'EVIL'
}

async function ask(port: number, path: string, headers: Record<string, string>, method = 'GET', body = '') {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, ...(body === '' ? {} : { body }) })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

async function expectForwardAuth(t: Test, port: number, backend: TestUpstream): Promise<void> {
  const login = await ask(
    port,
    '/auth/login',
    { 'content-type': 'application/json' },
    'POST',
    '{"code":"sandbox-alice"}'
  )
  t.equal(login.status, 200, 'login goes through to the edge')
  const { access_token: token, user } = JSON.parse(login.text)
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
  t.notMatch(JSON.stringify(second?.rawHeaders), 'EVIL')
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

test('nginx auth_request: identity from wxgate, 401 otherwise, and nothing that the client made up', async (t) => {
  const { backend, ports } = await startParts(t)
  const port = await startNginx(t, 'nginx', ports)
  if (port !== null) await expectForwardAuth(t, port, backend)
})

test('Caddy forward_auth: identity from wxgate, 401 otherwise, and nothing that the client made up', async (t) => {
  const { backend, ports } = await startParts(t)
  const port = await startCaddy(t, ports)
  if (port !== null) await expectForwardAuth(t, port, backend)
})

test('a proxy that sends on the method and type of the original request gets its answer, with or without the body', async (t) => {
  const gateway = await buildTestGateway(t, 'http://127.0.0.1:9')
  const { access_token: token } = await gateway.login('alice')
  for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
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

test('what wxgate did not say of a user, a client cannot add', async (t) => {
  const backend = await startUpstream(t)
  // WeChat tells no unionid unless an app is bound to an open platform account.
  const service = await startUpstream(t, (_req, res) => res.writeHead(204, { 'x-openid': 'oREAL' }).end())
  const ports = { edge: 9, service: service.port, backend: backend.port }
  for (const port of [await startNginx(t, 'nginx', ports), await startCaddy(t, ports)]) {
    if (port === null) continue
    const { status } = await ask(port, '/orders', { ...FORGED, authorization: 'Bearer good' })
    t.equal(status, 200)
    t.equal(backend.seen.at(-1)?.headers['x-openid'], 'oREAL')
    t.notMatch(JSON.stringify(backend.seen.at(-1)?.rawHeaders), 'EVIL')
  }
})

test('a trusted proxy in front of the edge is believed about the client, and nobody else is', async (t) => {
  const backend = await startUpstream(t)
  const server = {
    host: '127.0.0.1',
    port: 1,
    trustedProxies: ['127.0.0.1'],
    loginLimit: { max: 3, window: '1m', by: 'ip' }
  }
  const gateway = await buildTestGateway(t, backend.url, { config: { server } })
  const port = await startNginx(t, 'In front of the edge', { edge: gateway.port, service: 9, backend: 9 })
  if (port === null) return
  /** From an address of its own: all of 127.0.0.0/8 is this machine. */
  const from = (localAddress: string, to: number, path: string, headers: Record<string, string>, body?: string) =>
    new Promise<number>((resolve, reject) => {
      const outgoing = request(
        { host: '127.0.0.1', port: to, localAddress, path, method: body === undefined ? 'GET' : 'POST', headers },
        (res) => {
          res.resume()
          res.on('end', () => resolve(res.statusCode ?? 0))
        }
      )
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  const spoofed = {
    'x-forwarded-for': '6.6.6.6',
    'x-forwarded-proto': 'https',
    'x-forwarded-host': 'evil.example',
    'x-real-ip': '6.6.6.6'
  }
  t.equal(await from('127.0.0.2', port, '/public/x', { ...spoofed, host: 'shop.example' }), 200)
  t.match(backend.seen[0]?.headers, {
    'x-forwarded-for': '6.6.6.6, 127.0.0.2, 127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'shop.example'
  })
  t.match(gateway.lines.at(-1), '"client":"127.0.0.2"')
  t.equal(await from('127.0.0.3', gateway.port, '/public/x', { ...spoofed, host: 'shop.example' }), 200)
  t.match(backend.seen[1]?.headers, {
    'x-forwarded-for': '127.0.0.3',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': 'shop.example'
  })
  t.notOk('x-real-ip' in (backend.seen[1]?.headers ?? {}))
  t.match(gateway.lines.at(-1), '"client":"127.0.0.3"')

  // What is counted per address is counted per client.
  const logIn = (address: string, name: string, forwarded: string) =>
    from(
      address,
      port,
      '/auth/login',
      { 'content-type': 'application/json', 'x-forwarded-for': forwarded },
      `{"code":"sandbox-${name}"}`
    )
  const statuses: number[] = []
  for (let count = 0; count < 5; count++) statuses.push(await logIn('127.0.0.4', `a${count}`, `7.7.7.${count}`))
  t.same(statuses, [200, 200, 200, 429, 429])
  t.equal(await logIn('127.0.0.5', 'b', '7.7.7.7'), 200)
})

test('WebSocket and streams pass through nginx and the edge', async (t) => {
  const echo = await startEchoSocket(t)
  const gateway = await buildTestGateway(t, echo.url, {
    config: { server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1'] } }
  })
  const port = await startNginx(t, 'In front of the edge', { edge: gateway.port, service: 9, backend: 9 })
  if (port === null) return
  const { access_token: token } = await gateway.login('alice')
  const client = await openClient(t, port)
  client.send(
    `GET /api/ws HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  )
  t.match(await client.head(), /^HTTP\/1\.1 101 /)
  t.match(echo.seen[0], { 'x-openid': /^o/, 'x-forwarded-for': '127.0.0.1, 127.0.0.1' })
  client.send(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]))
  await until(() => client.pending.endsWith('hi'))
})
