/** Requests of the mini-program client through the real gateway. */
import { test } from 'tap'
import { HOUR, rejection, startPhone, times } from './support/phone.ts'
import { idle } from './support/timers.ts'

test('an answer of the business service arrives unchanged, whatever its status', async (t) => {
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
  t.equal(upstream.seen.length, 10, "a 401 of the business service is not the gateway's: nothing was repeated")
})

test('data, headers and methods are sent as wx would send them', async (t) => {
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
    t.equal(credentials.length, 1, 'a caller cannot send another credential')
  }
  t.ok(upstream.seen.every(({ headers }) => headers['x-openid']))
})

test('a wx that returns no task works', async (t) => {
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

test('a body in chunks is passed on chunk by chunk, except for an error of the gateway', async (t) => {
  let finish = () => {}
  const { client, clock, wire } = await startPhone(t, {
    handler(_req, res) {
      res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 茶\n\n')
      finish = () => void res.end('data: 2\n\n')
    }
  })
  await client.login()
  clock.advance(3 * HOUR)
  const chunks: string[] = []
  const statuses: unknown[] = []
  const task = client.request({ url: '/api/events', enableChunked: true })
  task.onChunkReceived(({ data }) => {
    chunks.push(Buffer.from(data).toString())
    finish()
  })
  task.onHeadersReceived(({ statusCode }) => statuses.push(statusCode))
  t.equal((await task).statusCode, 200)
  t.same(chunks, ['data: 茶\n\n', 'data: 2\n\n'])
  t.same(statuses, [401, 200])
  t.equal(wire.count('/auth/refresh'), 1)
})

test('public routes need no login, optional ones use one if there is one', async (t) => {
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

test('an abort ends a running call, a waiting one, and one that has not started', async (t) => {
  const { client, wire, wx } = await startPhone(t)
  await client.login()
  wire.fault = () => 'hang'
  const calls = times(12, () => client.request({ url: '/api/a' }))
  const all = Promise.all(calls.map((call) => rejection(call)))
  while (wire.count('/api/a') < 10) await idle()
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
