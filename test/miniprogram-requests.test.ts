/** The mini-program client against the real gateway: what is sent, what is sent again, and what never is. */
import { test } from 'tap'
import { HOUR, problem, rejection, startPhone, times } from './support/phone.ts'
import { startUpstream } from './support/upstream.ts'

test('an answer of the business service arrives as it is, whatever its status', async (t) => {
  const { client, upstream } = await startPhone(t, {
    handler(_req, res, { url }) {
      const status = Number(url.split('/').pop())
      res.writeHead(status, { 'content-type': 'application/json', 'x-own': 'yes' })
      res.end(`{"code":"token_expired","action":"refresh","status":${status}}`)
    }
  })
  for (const status of [200, 201, 400, 401, 403, 404, 409, 429, 500, 503]) {
    const answer = await client.request<{ status: number }>({ url: `/api/${status}`, method: 'POST', data: {} })
    t.equal(answer.statusCode, status)
    t.equal(answer.data.status, status)
    t.equal(answer.header['x-own'], 'yes')
  }
  t.equal(upstream.seen.length, 10, 'a 401 of the business service is not ours: nothing was repeated')
})

test('data, headers and methods go out as wx would send them', async (t) => {
  const { client, upstream, wx } = await startPhone(t)
  await client.request({ url: 'api/a?x=1', data: { y: '茶' } })
  await client.request({
    url: '/api/b',
    method: 'PUT',
    data: { n: 1 },
    header: { 'X-Own': 'a', AUTHORIZATION: 'Basic x' }
  })
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  await client.request({ url: '/api/c', method: 'post' as 'POST', data: { n: 1 }, header: form })
  t.match(upstream.seen, [
    { method: 'GET', url: '/api/a?x=1&y=%E8%8C%B6', body: '' },
    { method: 'PUT', url: '/api/b', body: '{"n":1}', headers: { 'x-own': 'a' } },
    { method: 'POST', url: '/api/c', body: 'n=1' }
  ])
  for (const { header } of wx.sent.filter(({ url }) => !url.includes('/auth/'))) {
    const credentials = Object.keys(header).filter((name) => name.toLowerCase() === 'authorization')
    t.equal(credentials.length, 1, 'a caller cannot put another credential in')
  }
  t.ok(upstream.seen.every(({ headers }) => headers['x-openid']))
})

test('a wx that gives no task for a request serves as well', async (t) => {
  const { program, wire, wx, upstream } = await startPhone(t)
  const silent = { ...wx, request: (options: Parameters<typeof wx.request>[0]) => void wx.request(options) }
  const client = program.createClient({ baseUrl: wire.url, wx: silent })
  const answers = await Promise.all(times(15, (index) => client.request({ url: `/api/${index}` })))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  t.equal(upstream.seen.length, 15)
  t.equal(wx.peak, 10, 'a place is kept until the answer is there')
})

test('callbacks are called as wx calls them', async (t) => {
  const { client } = await startPhone(t)
  const told: string[] = []
  await new Promise<void>((resolve) => {
    client.request({
      url: '/api/a',
      success: ({ statusCode }) => told.push(`success ${statusCode}`),
      fail: () => told.push('fail'),
      complete: () => resolve()
    })
  })
  await new Promise<void>((resolve) => {
    client.request({
      url: '/nowhere',
      success: () => told.push('success'),
      fail: ({ errMsg }) => told.push(errMsg),
      complete: () => resolve()
    })
  })
  t.match(told, ['success 200', /^no_route: /])
})

test('an error of the gateway is a WxgateError that names the request', async (t) => {
  const { client, program, gateway } = await startPhone(t)
  await client.login()
  for (const [dataType, responseType] of [
    ['json', 'text'],
    ['text', 'text'],
    ['json', 'arraybuffer']
  ] as const) {
    const error = await rejection(client.request({ url: '/nowhere', dataType, responseType }))
    t.match(error, { name: 'WxgateError', code: 'no_route', status: 404, action: 'none', detail: /./, requestId: /./ })
    t.ok(gateway.lines.some((line) => line.includes(String(error?.requestId))))
  }
  const caught = await client.request({ url: '/nowhere' }).catch((error: unknown) => error)
  t.ok(program.isWxgateError(caught))
  t.match(String((caught as Error).stack), /no_route/)
  for (const other of [new Error('x'), null, undefined, 'x', {}]) t.notOk(program.isWxgateError(other))
})

test('a body that comes in chunks is passed on as it comes, but for an error of the gateway', async (t) => {
  const { client, clock, wire } = await startPhone(t, {
    handler(_req, res) {
      res.writeHead(200, { 'content-type': 'text/event-stream' })
      res.write('data: 茶\n\n')
      setTimeout(() => res.end('data: 2\n\n'), 10)
    }
  })
  await client.login()
  clock.advance(3 * HOUR)
  const chunks: string[] = []
  const statuses: unknown[] = []
  const task = client.request({ url: '/api/events', enableChunked: true })
  task.onChunkReceived(({ data }) => chunks.push(Buffer.from(data).toString()))
  task.onHeadersReceived(({ statusCode }) => statuses.push(statusCode))
  t.equal((await task).statusCode, 200)
  t.same(chunks, ['data: 茶\n\n', 'data: 2\n\n'])
  t.same(statuses, [401, 200])
  t.equal(wire.count('/auth/refresh'), 1)
})

test('public routes need no login, optional ones take one if there is one', async (t) => {
  const { client, wx, upstream } = await startPhone(t)
  await client.request({ url: '/public/a', auth: 'public' })
  await client.request({ url: '/maybe/a', auth: 'optional' })
  t.equal(wx.calls.login, 0)
  await client.login()
  await client.request({ url: '/public/b', auth: 'public' })
  await client.request({ url: '/maybe/b', auth: 'optional' })
  t.same(
    wx.sent.filter(({ url }) => !url.includes('/auth/')).map(({ header }) => 'Authorization' in header),
    [false, false, false, true]
  )
  t.same(
    upstream.seen.map(({ headers }) => 'x-openid' in headers),
    [false, false, false, true]
  )
})

test('the token goes to baseUrl and nowhere else', async (t) => {
  const { client, wire, wx, program, gateway } = await startPhone(t)
  const elsewhere = await startUpstream(t)
  await client.login()
  const host = wire.url.slice('http://'.length)
  const sentBefore = wx.sent.length
  const addresses = [
    elsewhere.url,
    `${elsewhere.url}/api/a`,
    `//127.0.0.1:${elsewhere.port}/api/a`,
    `\\\\127.0.0.1:${elsewhere.port}/api/a`,
    `http:/\\127.0.0.1:${elsewhere.port}/a`,
    `http:127.0.0.1:${elsewhere.port}/a`,
    `http://${host}@127.0.0.1:${elsewhere.port}/a`,
    `http://${host}\\@127.0.0.1:${elsewhere.port}/a`,
    `http://x@${host}/a`,
    `${wire.url}0/a`,
    `${wire.url}.evil.example/a`,
    `https://${host}/a`,
    `ftp://${host}/a`,
    `${gateway.url}/api/a`,
    `javascript:alert(1)`,
    `/api/../../a`,
    `/api/%2e%2E/a`,
    `/api/.\\a`
  ]
  for (const url of addresses) {
    t.match(await rejection(client.request({ url })), { code: 'invalid_url' }, url)
    t.match(await rejection(client.downloadFile({ url })), { code: 'invalid_url' })
    t.match(await rejection(client.uploadFile({ url, filePath: 'a', name: 'a' })), { code: 'invalid_url' })
    const failure = await new Promise((resolve) => client.connectSocket({ url, fail: resolve }))
    t.match(failure, { code: 'invalid_url' })
  }
  t.equal(wx.sent.length, sentBefore, 'nothing was sent at all')
  t.equal(elsewhere.seen.length, 0)
  for (const url of [
    '@127.0.0.1/',
    '.evil.example',
    ':80/',
    '/api/a?u=http://evil.example/../',
    `HTTP://${host}/api/a`
  ]) {
    await rejection(client.request({ url }))
  }
  t.ok(wx.sent.every(({ url }) => url.toLowerCase().startsWith(`${wire.url}/`)))
  for (const baseUrl of [
    '',
    'gateway',
    'ftp://a',
    'https://a@b',
    'https://a?b',
    'https://a/#',
    'https://a b',
    'https://a/../b'
  ]) {
    t.throws(() => program.createClient({ baseUrl }), { code: 'invalid_url' }, baseUrl)
  }
  const below = program.createClient({ baseUrl: `${wire.url}/gw/` })
  t.match(await rejection(below.request({ url: `${wire.url}/gateway/a` })), { code: 'invalid_url' })
})

test('a redirect to another address goes there without the token', async (t) => {
  const elsewhere = await startUpstream(t)
  const { client, upstream, wx } = await startPhone(t, {
    handler(_req, res, { url, method }) {
      const [, status, where] = /^\/api\/(\d+)\/(\w+)/.exec(url) ?? []
      const location = { out: `${elsewhere.url}/file?sig=1`, in: '/api/200/done', loop: url }[where ?? '']
      res.writeHead(Number(status), location ? { location } : {}).end(JSON.stringify({ method }))
    }
  })
  const own = { 'X-Own': 'for the gateway' }
  t.equal((await client.request({ url: '/api/302/out', header: own })).statusCode, 200)
  t.equal(elsewhere.seen.length, 1)
  t.notOk(elsewhere.seen[0]?.headers.authorization ?? elsewhere.seen[0]?.headers['x-own'])
  t.equal((await client.request({ url: '/api/307/out', method: 'POST', data: { a: 1 } })).statusCode, 307)
  t.equal(elsewhere.seen.length, 1, 'what was written for the gateway does not go elsewhere')
  upstream.seen.length = 0
  t.same((await client.request<{ method: string }>({ url: '/api/303/in', method: 'POST', data: { a: 1 } })).data, {
    method: 'GET'
  })
  t.same((await client.request<{ method: string }>({ url: '/api/308/in', method: 'PUT', data: { a: 1 } })).data, {
    method: 'PUT'
  })
  t.same(
    upstream.seen.map(({ method, body }) => `${method} ${body}`),
    ['POST {"a":1}', 'GET ', 'PUT {"a":1}', 'PUT {"a":1}']
  )
  t.ok(upstream.seen.every(({ headers }) => headers['x-openid']))
  t.equal((await client.request({ url: '/api/302/in', redirect: 'manual' })).statusCode, 302)
  t.equal((await client.request({ url: '/api/302/loop' })).statusCode, 302)
  t.ok(wx.sent.length < 20)
})

test('a POST that may have been carried out is never sent again', async (t) => {
  const { client, wire, upstream, wx } = await startPhone(t)
  await client.login()
  const post = () => rejection(client.request({ url: '/api/a', method: 'POST', data: { pay: 1 } }))
  wire.fault = () => 'lose-answer'
  t.match(await post(), { code: 'network', status: 0, errMsg: /^request:fail/ })
  t.equal(upstream.seen.length, 1)
  wire.fault = () => 'lose-request'
  t.match(await post(), { code: 'network' })
  t.equal(wire.count('/api/a'), 2)
  for (const [status, code] of [
    [502, 'upstream_unreachable'],
    [503, 'upstream_unavailable'],
    [504, 'upstream_timeout'],
    [429, 'rate_limited']
  ] as const) {
    wire.requests.length = 0
    wire.fault = () => problem(status, code, 'retry', { 'retry-after': '1' })
    t.match(await post(), { code, status, action: 'retry', retryAfter: 1 })
    t.equal(wire.count('/api/a'), 1, code)
  }
  wire.fault = () => 'hang'
  wire.requests.length = 0
  t.match(await rejection(client.request({ url: '/api/a', method: 'POST', timeout: 50 })), { code: 'timeout' })
  t.equal(wire.count('/api/a'), 1)
  wx.files.set('wxfile://a.png', Buffer.from('png'))
  wire.fault = () => 'lose-answer'
  t.match(await rejection(client.uploadFile({ url: '/api/up', filePath: 'wxfile://a.png', name: 'f' })), {
    code: 'network'
  })
  t.equal(wire.count('/api/up'), 1)
})

test('what is the same done twice is repeated once after a lost connection', async (t) => {
  const { client, wire } = await startPhone(t)
  await client.login()
  const methods = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'] as const
  wire.fault = ({ path }) => (wire.count(path) === 1 ? 'lose-answer' : null)
  const answers = await Promise.all(methods.map((method) => client.request({ url: `/api/${method}`, method })))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  for (const method of methods) t.equal(wire.count(`/api/${method}`), 2, method)
  wire.requests.length = 0
  wire.fault = () => 'lose-request'
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'network' })
  t.equal(wire.count('/api/a'), 2)
})

test('a rate limit is waited for once, as long as the gateway says', async (t) => {
  const { client, wire, wx } = await startPhone(t, {
    config: {
      routes: [{ path: '/api', upstream: 'app', rateLimit: { max: 1, window: '1s', by: 'user' } }]
    }
  })
  await client.login()
  await client.request({ url: '/api/a' })
  wire.requests.length = 0
  // The gateway's limits run by its own clock.
  const before = performance.now()
  const answer = await client.request({ url: '/api/a' }).catch((error) => error)
  t.ok(performance.now() - before >= 900, 'Retry-After was respected')
  t.equal(wire.count('/api/a'), 2)
  t.ok(answer.statusCode === 200 || answer.code === 'rate_limited')
  wire.fault = () => problem(429, 'rate_limited', 'retry', { 'Retry-After': '3600' })
  wire.requests.length = 0
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'rate_limited', retryAfter: 3600 })
  t.equal(wire.count('/api/a'), 1, 'an hour is not waited for')
  t.equal(wx.calls.login, 1)
})

test('a token that is refused again after a refresh and a login is not tried for ever', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  await client.login()
  const refusals = ['token_expired', 'token_invalid', 'session_revoked', 'token_expired']
  wire.fault = ({ path }) =>
    path === '/api/a'
      ? problem(
          401,
          refusals[wire.count('/api/a') - 1] ?? 'token_missing',
          wire.count('/api/a') === 1 ? 'refresh' : 'login'
        )
      : null
  t.match(await rejection(client.request({ url: '/api/a', method: 'POST' })), { code: 'session_revoked', status: 401 })
  t.equal(wire.count('/api/a'), 3)
  t.equal(wire.count('/auth/refresh'), 1)
  t.equal(wx.calls.login, 2)
})

test('a hotel network that answers for everybody is not taken for the gateway', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  wire.fault = () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Please pay</html>' })
  t.match(await rejection(client.request({ url: '/api/a' })), { code: 'invalid_response', status: 200 })
  t.match(await rejection(client.session()), { code: 'invalid_response' })
  wire.fault = () => ({ status: 502, body: '<html>nginx</html>' })
  t.match(await rejection(client.login()), { code: 'invalid_response', status: 502 })
  for (const body of [
    '{}',
    '[]',
    '"x"',
    '{"access_token":1}',
    '{"access_token":"a","refresh_token":"b","expires_in":7200}'
  ]) {
    wire.fault = () => ({ status: 200, body })
    t.match(await rejection(client.login()), { code: 'invalid_response' }, body)
  }
  t.equal(wx.storage.size, 0)
})

test('an abort ends a call under way, one that waits, and one that has not begun', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  await client.login()
  wire.fault = () => 'hang'
  const calls = times(12, () => client.request({ url: '/api/a' }))
  const all = Promise.all(calls.map((call) => rejection(call)))
  while (wire.count('/api/a') < 10) await new Promise((resolve) => setTimeout(resolve, 1))
  for (const call of calls) call.abort()
  const early = client.request({ url: '/api/b' })
  early.abort()
  t.ok((await all).every((error) => error?.code === 'aborted'))
  t.match(await rejection(early), { code: 'aborted' })
  t.equal(wire.requests.length, 11, 'and none was sent again')
  wire.fault = () => null
  t.equal((await client.request({ url: '/api/a' })).statusCode, 200, 'their places are free again')
  t.equal(wx.peak, 10)
})

test('what WeChat interrupts in the background goes on when the mini-program is back', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  await client.login()
  wire.fault = () => 'hang'
  const reading = client.request({ url: '/api/a' })
  const writing = rejection(client.request({ url: '/api/b', method: 'POST' }))
  while (wire.requests.length < 3) await new Promise((resolve) => setTimeout(resolve, 1))
  wx.hide()
  t.match(await writing, { code: 'interrupted', errno: 600003 })
  wire.fault = () => null
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.equal(wire.count('/api/a'), 1, 'nothing is sent from the background')
  wx.show()
  t.equal((await reading).statusCode, 200)
  t.equal(wire.count('/api/a'), 2)
})

test('an address that WeChat does not allow is said so', async (t) => {
  const { client, wire } = await startPhone(t, { domains: ['https://gateway.example.com'] })
  t.match(await rejection(client.login()), { code: 'invalid_url', errno: 600002, errMsg: /url not in domain list/ })
  t.equal(wire.requests.length, 0)
})
