/** Calls of WeChat through the gateway: bodies, streams, broken connections and the end of the
 *  gateway. */
import { randomBytes } from 'node:crypto'
import { request, type ServerResponse } from 'node:http'
import { test } from 'tap'
import { build, call, startWeChat, TOKEN_CALL } from './support/egress.ts'
import { APPID, OTHER_APPID, SERVICE_TOKEN } from './support/gateway.ts'
import { PATIENCE, until } from './support/until.ts'

test('a call that goes past Fastify has the answers, the log line and the effect of one that does not', async (t) => {
  const run = async (fastLane: boolean) => {
    const gateway = await build(t, { config: { server: { host: '127.0.0.1', port: 1, fastLane } } })
    const head = (line: string, more = '') =>
      `${line} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${SERVICE_TOKEN}\r\n${more}Connection: close\r\n\r\n`
    const requests = [
      head(`GET /wxapi/${APPID}/a/b?x=1`),
      head(`HEAD /wxapi/${APPID}/a/b`),
      `${head(`POST /wxapi/${APPID}/a/b`, 'Content-Type: text/xml\r\nContent-Length: 5\r\n')}hello`,
      head(`DELETE /wxapi/${APPID}/a/b`, 'Content-Length: 0\r\n'),
      head(`GET /wxapi/${APPID}/cgi-bin/token`),
      head(`GET /wxapi/wx0000000000000000/a`),
      head(`GET /wxapi/${APPID}/%2e%2e/a`),
      head(`GET /wxapi/${APPID}/a`).replace(SERVICE_TOKEN, 'another-token-of-nobody'),
      head(`GET /wxapi/${APPID}/a`).replace('Host: 127.0.0.1', 'Host: attacker.example'),
      head(`POST /wxapi/${APPID}/a`, `Content-Length: ${21 * 1024 * 1024}\r\n`)
    ]
    const answers: string[] = []
    for (const bytes of requests)
      answers.push(
        (await gateway.raw(bytes, { port: gateway.servicePort }))
          .replace(/^(date|x-openapi-seqid|x-request-id): .*$/gim, '$1')
          .replace(/"request_id":"[^"]*"/g, '')
      )
    // A refusal at admission and a foreign host have no caller.
    await until(() => gateway.lines.filter((line) => line.includes('service_call')).length === requests.length - 2)
    const lines = gateway.lines.filter((line) => line.includes('service_call'))
    const log = lines.map((line) => ({ ...JSON.parse(line), time: 0, ms: 0, request_id: '' }))
    return { answers, log, calls: gateway.sandbox.state.calls.counts().byPath }
  }
  t.same(await run(true), await run(false))
})

test('uploads pass unchanged', async (t) => {
  let seen = { type: '', length: '', body: Buffer.alloc(0) }
  const apiBase = await startWeChat(t, (req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      const { 'content-type': type = '', 'content-length': length = '' } = req.headers
      seen = { type, length, body: Buffer.concat(chunks) }
      res.end('{"errcode":0}')
    })
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const file = randomBytes(3_000_000)
  const form = new FormData()
  form.set('media', new Blob([file]), 'photo.png')
  const encoded = new Request('http://x', { method: 'POST', body: form })
  const type = encoded.headers.get('content-type') ?? ''
  const bytes = Buffer.from(await encoded.arrayBuffer())
  const response = await call(gateway, '/wxa/img_sec_check', {
    method: 'POST',
    body: bytes,
    headers: { 'content-type': type }
  })
  t.equal(response.status, 200)
  t.equal(seen.type, type)
  t.equal(seen.length, String(bytes.length))
  t.ok(seen.body.equals(bytes))
})

test('binary answers and streams come back unchanged, without buffering', async (t) => {
  const image = randomBytes(1_000_000)
  let finish = () => {}
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    if (req.url?.startsWith('/image')) res.writeHead(200, { 'content-type': 'image/jpeg' }).end(image)
    else if (req.url?.startsWith('/stream')) {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write('data: one\n\n')
      finish = () => res.end('data: two\n\n')
    } else if (req.url?.startsWith('/json')) res.end(`{"errcode":0,"list":"${'x'.repeat(500_000)}"}`)
    else res.writeHead(204).end()
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const picture = await call(gateway, '/image')
  t.equal(picture.headers.get('content-type'), 'image/jpeg')
  t.ok(Buffer.from(await picture.arrayBuffer()).equals(image))
  t.equal((await (await call(gateway, '/json')).text()).length, 500_023)
  t.equal((await call(gateway, '/nothing')).status, 204)
  const reader = (await call(gateway, '/stream')).body?.getReader()
  t.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'data: one\n\n')
  finish()
  t.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'data: two\n\n')
  await reader?.cancel()
})

test('no header of the gateway goes to WeChat; no cookie and no token come back', async (t) => {
  let seen: Record<string, unknown> = {}
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    seen = req.headers
    res.writeHead(302, {
      'set-cookie': 'a=b',
      'x-openid': 'forged',
      'strict-transport-security': 'max-age=1',
      location: `https://elsewhere${req.url}`,
      'x-kept': 'yes'
    })
    res.end('moved')
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const headers = {
    cookie: 'session=1',
    'x-openid': 'oVictim',
    'x-internal-secret': 'x',
    'x-forwarded-for': '1.2.3.4',
    traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`,
    'accept-encoding': 'gzip',
    'user-agent': 'orders/1',
    'wechatmp-signature': 'kept'
  }
  const response = await call(gateway, '/a', { headers })
  t.same(Object.keys(seen).sort(), [
    'accept',
    'accept-language',
    'connection',
    'host',
    'user-agent',
    'wechatmp-signature'
  ])
  t.equal(response.status, 302)
  t.equal(response.headers.get('x-kept'), 'yes')
  for (const name of ['set-cookie', 'x-openid', 'strict-transport-security', 'location'])
    t.notOk(response.headers.has(name), name)
  t.notOk(gateway.lines.join('').includes('canary-access-token'))
})

test("WeChat's failures are reported by the gateway", async (t) => {
  const gateway = await build(t, { config: { wechat: { apiBase: 'sandbox', timeout: '1s' } } })
  const fault = (kind: 'hang' | 'reset' | 'garbage') =>
    gateway.sandbox.state.faults.add({
      path: '/wxa/call',
      fault: { kind },
      appId: null,
      times: 1,
      skip: 0,
      after: false
    })
  for (const kind of ['hang', 'reset', 'garbage'] as const) {
    fault(kind)
    t.match(
      await (await call(gateway, '/wxa/call')).json(),
      { status: 503, code: 'wechat_unavailable', action: 'retry' },
      kind
    )
  }
  gateway.sandbox.state.faults.add({
    path: TOKEN_CALL,
    fault: { kind: 'errcode', errcode: 40125 },
    appId: null,
    times: 1,
    skip: 0,
    after: false
  })
  const other = await call(gateway, '/wxa/call', {}, OTHER_APPID)
  t.match(await other.json(), { status: 502, code: 'wechat_misconfigured' })
})

test('a slow answer is passed on, and not waited for without end', async (t) => {
  const apiBase = await startWeChat(t, (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' })
    res.write('{"errcode":0')
    const trickle = setInterval(() => res.write(' '), 50)
    res.on('close', () => clearInterval(trickle))
  })
  const gateway = await build(t, { config: { wechat: { apiBase, timeout: '1s' } }, sandbox: {} as never })
  const leaving = new AbortController()
  const signal = AbortSignal.any([leaving.signal, AbortSignal.timeout(PATIENCE)])
  const response = await call(gateway, '/a', { signal })
  t.equal(response.status, 200)
  leaving.abort()
})

test('half an answer never looks complete', async (t) => {
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    res.writeHead(200, { 'content-type': 'image/png' })
    res.write(randomBytes(20_000))
    setTimeout(() => res.destroy(), 30)
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  await t.rejects(async () => (await call(gateway, '/image')).arrayBuffer())
})

test('a backend that disconnects ends the call to WeChat', async (t) => {
  let [asked, ended] = [0, 0]
  const apiBase = await startWeChat(t, (_req, res) => {
    asked++
    res.on('close', () => ended++)
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const leaving = request(`${gateway.serviceUrl}/wxapi/${APPID}/a`, {
    headers: { authorization: `Bearer ${SERVICE_TOKEN}` }
  })
  leaving.on('error', () => {})
  leaving.end()
  await until(() => asked === 1)
  leaving.destroy()
  await until(() => ended === 1)
  t.pass()
})

test('a backend that ends its connection inside a body gets 400, and WeChat is not called', async (t) => {
  const gateway = await build(t)
  const leaving = request(`${gateway.serviceUrl}/wxapi/${APPID}/a`, {
    method: 'POST',
    headers: { authorization: `Bearer ${SERVICE_TOKEN}`, 'content-length': '100' }
  })
  leaving.on('error', () => {})
  leaving.write('half', () => setTimeout(() => leaving.destroy(), 100))
  const audit = () => gateway.lines.find((line) => line.includes('service_call')) ?? '{}'
  await until(() => audit() !== '{}')
  t.match(JSON.parse(audit()), { caller: 'test', path: '/a', status: 400, result: 'invalid_request' })
  t.notMatch(gateway.lines.join(''), /unexpected error/)
  t.equal(gateway.sandbox.state.calls.list('/a').length, 0)
})

test('a gateway that ends finishes running calls, for drain.timeout at most', async (t) => {
  const answers = new Map<string, ServerResponse>()
  const apiBase = await startWeChat(t, (req, res) => void answers.set(req.url?.split('?')[0] ?? '', res))
  const server = { host: '127.0.0.1', port: 1, drain: { delay: '1ms', timeout: '2s' } }
  const config = { server, wechat: { apiBase } }
  const gateway = await build(t, { config, sandbox: {} as never })
  const finished = call(gateway, '/a')
  const cut = call(gateway, '/b').catch(() => 'cut')
  await until(() => answers.size === 2)
  const drained = gateway.gateway.drain()
  answers.get('/a')?.end('{"errcode":0}')
  t.equal((await finished).status, 200)
  t.equal(await cut, 'cut')
  await drained
})

test('a running call outlives a reload', async (t) => {
  let answering: ServerResponse | undefined
  const apiBase = await startWeChat(t, (req, res) => {
    req.resume()
    if (answering) return void res.end()
    answering = res
    res.writeHead(200, { 'content-type': 'image/png' })
    res.write('first ')
  })
  const gateway = await build(t, { config: { wechat: { apiBase } }, sandbox: {} as never })
  const response = await call(gateway, '/image')
  await gateway.gateway.reload({ ...gateway.config, tokens: { ...gateway.config.tokens, accessTtl: 3_600_000 } })
  answering?.end('second')
  t.equal(await response.text(), 'first second')
  t.equal((await call(gateway, '/image')).status, 200)
})
