/** The sign-in of the web console, its cookie and CSRF token, its page, and the calls of the
 *  page. */
import { request } from 'node:http'
import { type Test, test } from 'tap'
import { createTestClock, type TestClock } from '../support/clock.ts'
import { APPID, buildTestGateway, SERVICE_TOKEN, type TestGateway } from '../support/gateway.ts'
import { startServer } from '../support/listen.ts'

const NARROWED = 'one-app-token-0123456789'
const NO_ADMIN = 'no-admin-token-0123456789'
const ADMIN_ONLY = 'admin-only-token-0123456789'
const TOKENS = [
  { name: 'operator', token: SERVICE_TOKEN, scopes: ['session', 'admin'] },
  { name: 'shop', token: NARROWED, scopes: ['session', 'admin'], apps: [APPID] },
  { name: 'backend', token: NO_ADMIN, scopes: ['session', 'wxapi', 'pay'] },
  { name: 'kicker', token: ADMIN_ONLY, scopes: ['admin'] }
]
const MINUTE = 60_000

async function build(t: Test, changes: object = {}): Promise<{ gateway: TestGateway; clock: TestClock }> {
  const clock = createTestClock()
  const upstream = await startServer(t, (req, res) => {
    res.setHeader('x-seen', String(req.headers['x-openid'] !== undefined)).end(`got ${req.url}`)
  })
  const service = { host: '127.0.0.1', port: 2, tokens: TOKENS, hosts: ['console.example.com'], ...changes }
  const server = {
    host: '127.0.0.1',
    port: 1,
    drain: { delay: '10ms', timeout: '2s' },
    trustedProxies: ['127.0.0.1']
  }
  return { clock, gateway: await buildTestGateway(t, upstream, { clock, config: { service, server } }) }
}

interface Answer {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly text: string
  readonly json: Record<string, unknown>
}

interface Call {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: object
}

/** A request as a page of the console sends it. */
function call(gateway: TestGateway, path: string, { method = 'GET', headers = {}, body }: Call = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = {
      'sec-fetch-site': 'same-origin',
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...headers
    }
    const outgoing = request({ port: gateway.servicePort, path, method, headers: sent, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.once('end', () => {
        const isJson = String(response.headers['content-type']).includes('json')
        const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
      })
    })
    outgoing.once('error', reject)
    outgoing.end(body ? JSON.stringify(body) : undefined)
  })
}

interface SignedIn {
  readonly cookie: string
  readonly csrf: string
  readonly setCookie: string
}

async function signIn(gateway: TestGateway, body: object = { token: SERVICE_TOKEN }): Promise<SignedIn> {
  const { headers, json } = await call(gateway, '/console/session', { method: 'POST', body })
  const [setCookie = ''] = headers['set-cookie'] ?? []
  return { setCookie, cookie: setCookie.split(';')[0] ?? '', csrf: String(json.csrf) }
}

test('a service token with the scope admin opens a session', async (t) => {
  const { gateway, clock } = await build(t)

  await t.test('wrong credentials do not', async (t) => {
    const cases: [object, number, string][] = [
      [{ token: 'not-a-token-of-this-gateway' }, 401, 'token_invalid'],
      [{ token: NO_ADMIN }, 403, 'forbidden'],
      [{ token: NARROWED }, 403, 'forbidden'],
      [{ link: 'never-made' }, 401, 'token_invalid'],
      [{}, 400, 'invalid_request'],
      [{ token: SERVICE_TOKEN, link: 'x' }, 400, 'invalid_request'],
      [{ token: SERVICE_TOKEN, more: 1 }, 400, 'invalid_request']
    ]
    for (const [body, status, code] of cases) {
      const answer = await call(gateway, '/console/session', { method: 'POST', body })
      t.match(answer, { status, json: { code } }, JSON.stringify(body))
      t.equal(answer.headers['set-cookie'], undefined)
      t.notOk(answer.text.includes(SERVICE_TOKEN))
    }
  })

  await t.test('the cookie is for the console alone, and for no script', async (t) => {
    const { setCookie } = await signIn(gateway)
    t.match(setCookie, /^wxgate_console=[\w.-]+; Path=\/console; HttpOnly; SameSite=Strict$/)
    const secure = await call(gateway, '/console/session', {
      method: 'POST',
      body: { token: SERVICE_TOKEN },
      headers: { 'x-forwarded-proto': 'https' }
    })
    t.match(secure.headers['set-cookie'], [/; Secure$/])
    t.notOk(setCookie.includes(SERVICE_TOKEN))
  })

  await t.test('the page learns its session and its end', async (t) => {
    const { cookie, csrf } = await signIn(gateway)
    const session = await call(gateway, '/console/session', { headers: { cookie } })
    t.match(session, { status: 200, json: { name: 'operator', csrf }, headers: { 'cache-control': 'no-store' } })
    t.equal(Date.parse(String(session.json.expires_at)) - clock.now(), 30 * MINUTE)
    t.equal(Date.parse(String(session.json.ends_at)) - clock.now(), 8 * 60 * MINUTE)
    t.match(await call(gateway, '/console/session'), { status: 401, json: { code: 'token_missing' } })
  })

  await t.test('requests from elsewhere are refused', async (t) => {
    const { cookie, csrf } = await signIn(gateway)
    const host = `127.0.0.1:${gateway.servicePort}`
    const foreign: Record<string, string>[] = [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { 'sec-fetch-site': 'none' },
      { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' },
      { 'sec-fetch-site': '', origin: 'null' },
      { 'sec-fetch-site': '' }
    ]
    for (const headers of foreign) {
      for (const [method, path] of [
        ['GET', '/console/v1/status'],
        ['GET', '/console/session'],
        ['DELETE', '/console/session'],
        ['POST', '/console/v1/explain']
      ] as const) {
        const answer = await call(gateway, path, { method, headers: { cookie, 'x-csrf-token': csrf, ...headers } })
        t.match(answer, { status: 403, json: { code: 'forbidden' } }, `${method} ${path} ${JSON.stringify(headers)}`)
      }
    }
    const signInFromElsewhere = await call(gateway, '/console/session', {
      method: 'POST',
      body: { token: SERVICE_TOKEN },
      headers: { 'sec-fetch-site': 'cross-site' }
    })
    t.equal(signInFromElsewhere.status, 403)
    // A browser sends no Sec-Fetch-Site to an address without TLS.
    const { port } = new URL(gateway.serviceUrl)
    const plain = await fetch(`${gateway.serviceUrl}/console/session`, {
      headers: { cookie, referer: `http://127.0.0.1:${port}/console/` }
    })
    t.equal(plain.status, 200, 'the Referer is evidence too')
    const other = await fetch(`${gateway.serviceUrl}/console/session`, {
      headers: { cookie, referer: `http://evil.example/?${host}` }
    })
    t.equal(other.status, 403)
  })

  await t.test('an action needs the CSRF token of its own session', async (t) => {
    const [first, second] = [await signIn(gateway), await signIn(gateway)]
    const explain = (headers: Record<string, string>) =>
      call(gateway, '/console/v1/explain', { method: 'POST', headers, body: { method: 'GET', path: '/api' } })
    const { cookie, csrf } = first
    for (const token of [undefined, '', 'forged', second.csrf, `${csrf}x`]) {
      const answer = await explain({ cookie, ...(token === undefined ? {} : { 'x-csrf-token': token }) })
      t.match(answer, { status: 403, json: { code: 'forbidden' } }, String(token))
    }
    t.equal((await explain({ cookie, 'x-csrf-token': csrf })).status, 200)
    t.equal((await call(gateway, '/console/v1/status', { headers: { cookie } })).status, 200, 'a GET needs none')
  })

  await t.test('a changed, foreign or doubled cookie is none', async (t) => {
    const { cookie } = await signIn(gateway)
    for (const other of [`${cookie}x`, cookie.slice(0, -3), `${cookie}; ${cookie}`, 'wxgate_console=', 'a=b']) {
      const answer = await call(gateway, '/console/v1/status', { headers: { cookie: other } })
      t.match(answer, { status: 401, json: { code: 'token_missing' } })
    }
    t.equal((await call(gateway, '/v1/status', { headers: { cookie } })).status, 401, '/v1 takes no cookie')
    const asToken = await call(gateway, '/console/v1/status', {
      headers: { authorization: `Bearer ${SERVICE_TOKEN}` }
    })
    t.equal(asToken.status, 401, 'and the console no token')
  })

  await t.test('it keeps the scopes of the token', async (t) => {
    const { cookie } = await signIn(gateway, { token: ADMIN_ONLY })
    t.equal((await call(gateway, '/console/v1/status', { headers: { cookie } })).status, 200)
    t.equal((await call(gateway, '/console/v1/users/u_x', { headers: { cookie } })).status, 403)
  })

  await t.test('it ends when idle, after eight hours, and at the sign-out', async (t) => {
    const status = (cookie: string) => call(gateway, '/console/v1/status', { headers: { cookie } })
    const { cookie, csrf } = await signIn(gateway)
    const leave = await signIn(gateway)
    t.equal((await status(leave.cookie)).status, 200)
    const left = await call(gateway, '/console/session', {
      method: 'DELETE',
      headers: { cookie: leave.cookie, 'x-csrf-token': leave.csrf }
    })
    t.equal(left.status, 204)
    t.match(left.headers['set-cookie'], [/^wxgate_console=; Max-Age=0; Path=\/console; HttpOnly/])
    t.equal((await status(leave.cookie)).status, 401)

    let current = cookie
    for (let minutes = 0; minutes + 25 < 8 * 60; minutes += 25) {
      clock.advance(25 * MINUTE)
      const answer = await status(current)
      t.equal(answer.status, 200, `after ${minutes + 25} minutes`)
      current = String(answer.headers['set-cookie']).split(';')[0] ?? ''
    }
    t.equal((await status(cookie)).status, 401, 'the first cookie was idle')
    clock.advance(6 * MINUTE)
    t.equal((await status(current)).status, 401, 'eight hours')
    t.type(csrf, 'string')
  })

  await t.test('every sign-in and action is in the audit log with the name of the token', async (t) => {
    const { cookie, csrf } = await signIn(gateway)
    const { user } = await gateway.login('bob')
    const headers = { cookie, 'x-csrf-token': csrf }
    t.equal((await call(gateway, `/console/v1/users/${user.id}`, { headers })).status, 200)
    const kicked = await call(gateway, `/console/v1/users/${user.id}/sessions`, { method: 'DELETE', headers })
    t.equal(kicked.status, 204)
    const audit = gateway.lines.filter((line) => line.includes('"service_call"')).map((line) => JSON.parse(line))
    t.match(audit.slice(-3), [
      { caller: 'operator', endpoint: 'POST /console/session', status: 200 },
      { caller: 'operator', endpoint: 'GET /console/v1/users/:id', user: user.id },
      { caller: 'operator', endpoint: 'DELETE /console/v1/users/:id/sessions', user: user.id, result: 'ok' }
    ])
    t.ok(audit.some(({ endpoint, status }) => endpoint === 'POST /console/session' && status === 401))
    t.notOk(
      audit.some(({ endpoint }) => endpoint === 'GET /console/v1/status'),
      'the page asks all the time'
    )
    const all = gateway.lines.join('\n')
    for (const secret of [SERVICE_TOKEN, csrf, cookie.slice(20, 60)]) t.notOk(all.includes(secret))
  })

  await t.test('a removed or replaced token ends its sessions at the reload', async (t) => {
    const { cookie } = await signIn(gateway)
    const { tokens } = gateway.config.service
    const replaced = tokens.map((one) =>
      one.name === 'operator' ? { ...one, token: 'another-token-0123456789' } : one
    )
    await gateway.gateway.reload({ ...gateway.config, service: { ...gateway.config.service, tokens: replaced } })
    t.equal((await call(gateway, '/console/v1/status', { headers: { cookie } })).status, 401)
    await gateway.gateway.reload(gateway.config)
    t.equal((await call(gateway, '/console/v1/status', { headers: { cookie } })).status, 200)
  })
})

test('the page is served with a strict policy, and a link signs in once', async (t) => {
  const { gateway, clock } = await build(t)
  const page = await call(gateway, '/console/', { headers: { 'accept-encoding': 'identity' } })
  t.match(page, {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'same-origin'
    }
  })
  const policy = String(page.headers['content-security-policy'])
  for (const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
    t.ok(policy.split('; ').includes(part), part)
  t.notMatch(policy, /unsafe|http|\*|data:/)
  t.notMatch(page.text, /<script(?![^>]*\bsrc=)|<style|\son\w+=|style=|https?:\/\//, 'no inline code, no other host')
  t.match(await call(gateway, '/console'), { status: 308, headers: { location: '/console/' } })
  const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, name]) => `/console/${name}`)
  t.ok(files.length > 1)
  for (const file of files) {
    const zipped = await call(gateway, file, { headers: { 'accept-encoding': 'gzip, br;q=0' } })
    t.match(zipped, { status: 200, headers: { 'content-encoding': 'gzip', 'cache-control': 'no-cache' } }, file)
    const etag = String(zipped.headers.etag)
    t.equal((await call(gateway, file, { headers: { 'if-none-match': etag } })).status, 304)
  }
  for (const path of ['/console/..%2f..%2fpackage.json', '/console/console.ts', '/console/a/b', '/console/.env'])
    t.ok([400, 404].includes((await call(gateway, path)).status), path)
  t.match(await call(gateway, '/console/', { headers: { host: 'evil.example' } }), { status: 403 })

  const links = gateway.gateway.parts.consoleLinks
  const link = links.create()
  const { cookie, csrf } = await signIn(gateway, { link })
  t.match(await call(gateway, '/console/session', { headers: { cookie } }), { json: { name: '(one-time link)' } })
  const again = await call(gateway, '/console/session', { method: 'POST', body: { link } })
  t.match(again, { status: 401, json: { code: 'token_invalid' } }, 'once')
  const late = links.create()
  clock.advance(11 * MINUTE)
  t.equal((await call(gateway, '/console/session', { method: 'POST', body: { link: late } })).status, 401, 'in time')
  t.notOk(gateway.lines.join('\n').includes(link))

  await t.test('with the sandbox, the page logs in as a user and calls a route', async (t) => {
    const headers = { cookie, 'x-csrf-token': csrf }
    const send = (body: object) => call(gateway, '/console/v1/sandbox/call', { method: 'POST', headers, body })
    const { json, text } = await send({
      user: 'alice',
      method: 'GET',
      path: '/api/x?a=1',
      headers: ['X-OpenId: forged']
    })
    const openid = gateway.sandbox.state.people.person(APPID, 'alice').openId
    t.match(json, {
      login: { status: 200 },
      answer: { status: 200, body: 'got /api/x?a=1', is_truncated: false },
      received: { upstream: 'app', method: 'GET', path: '/api/x?a=1' }
    })
    const received = json.received as { headers: [string, string][] }
    t.same(
      received.headers.filter(([name]) => name.toLowerCase() === 'x-openid').map(([, value]) => value),
      [openid]
    )
    t.notMatch(text, /eyJ/, 'the tokens stay in the gateway')
    t.match((await send({ user: 'alice', method: 'POST', path: '/api/x', body: 'hello' })).json, {
      answer: { status: 200 }
    })
    t.match((await send({ user: 'alice', method: 'GET', path: '/none' })).json, {
      answer: { status: 404 },
      received: null
    })
    t.equal((await send({ user: 'alice', method: 'GET', path: '@evil.example/' })).status, 400)
    t.equal((await send({ user: 'alice', method: 'GET', path: '/', headers: ['a b: c'] })).status, 400)
    t.match((await send({ user: 'alice', appid: 'wx0000000000000000', method: 'GET', path: '/' })).json, {
      login: { status: 400 },
      answer: null
    })
  })
})

test('without the console its paths do not exist', async (t) => {
  const { gateway } = await build(t, { console: false })
  for (const path of ['/console', '/console/', '/console/app.js', '/console/session', '/console/v1/status'])
    t.match(await call(gateway, path), { status: 404, json: { code: 'not_found' } }, path)
  t.equal((await call(gateway, '/console/session', { method: 'POST', body: { token: SERVICE_TOKEN } })).status, 404)
  const status = await call(gateway, '/v1/status', { headers: { authorization: `Bearer ${SERVICE_TOKEN}` } })
  t.equal(status.status, 200)
})
