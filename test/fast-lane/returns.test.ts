/** Requests that the general lane answers, on a connection that stays on the fast lane. */
import { test } from 'tap'
import { APPID, buildTestGateway } from '../support/gateway.ts'
import { startServer } from '../support/listen.ts'
import { exchange, get, openClient } from '../support/raw-client.ts'
import { idle } from '../support/timers.ts'
import { until } from '../support/until.ts'
import { startUpstream } from '../support/upstream.ts'

async function countsOf(gateway: Awaited<ReturnType<typeof buildTestGateway>>) {
  const text = await gateway.gateway.parts.metrics.text()
  const valueIn = (series: string) =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.split(' ')
        .at(-1) ?? 0
    )
  return {
    fast: valueIn('wxgate_fast_lane_requests_total'),
    own: valueIn('wxgate_general_lane_requests_total{reason="own_path"}'),
    refused: valueIn('wxgate_general_lane_requests_total{reason="refused"}'),
    kept: valueIn('wxgate_general_lane_requests_total{reason="kept"}')
  }
}

const post = (path: string, body: string, more = '') =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${more}Content-Length: ${body.length}\r\n\r\n${body}`

test('after an own path, a refused path and a login the connection serves proxied requests as before', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const client = await openClient(t, gateway.port)
  const login = post('/auth/login', JSON.stringify({ code: 'sandbox-alice', appid: APPID }))
  const statuses: number[] = []
  for (const text of [get('/public/1'), get('/livez'), get('/public/2'), get('/public/..'), login, get('/public/3')]) {
    client.send(text)
    statuses.push((await client.response()).status)
  }
  t.same(statuses, [200, 200, 200, 400, 200, 200])
  t.same(await countsOf(gateway), { fast: 3, own: 2, refused: 1, kept: 0 })
  t.equal(upstream.seen.length, 3)
})

test('pipelined requests of both kinds are answered in order', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const login = (name: string) => post('/auth/login', JSON.stringify({ code: `sandbox-${name}`, appid: APPID }))
  const texts = [
    login('a'),
    get('/public/1'),
    get('/livez'),
    login('b'),
    get('/public/2'),
    get('/public/3'),
    get('/readyz')
  ]
  const { responses, rest } = await exchange(gateway.port, texts.join('').repeat(20), { count: texts.length * 20 })
  t.same(new Set(responses.map(({ status }) => status)), new Set([200]))
  t.equal(responses.length, 140)
  t.equal(rest, '')
  const isLogin = responses.map(({ body }) => body.includes('access_token'))
  t.same(isLogin.slice(0, 7), [true, false, false, true, false, false, false])
  t.equal((await countsOf(gateway)).fast, 60)
})

test('the body of a login may arrive in pieces, and every cut gives the same answer', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const client = await openClient(t, gateway.port)
  const text = post('/auth/login', JSON.stringify({ code: 'sandbox-carol', appid: APPID }))
  const headEnd = text.indexOf('\r\n\r\n') + 4
  for (let cut = headEnd; cut < text.length; cut += 7) {
    client.send(text.slice(0, cut))
    await idle()
    client.send(text.slice(cut) + get('/public/x'))
    t.equal((await client.response()).status, 200)
    t.equal((await client.response()).status, 200)
  }
})

test('the rest of a refused upload never becomes the body of a request of the other lane', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const client = await openClient(t, gateway.port)
  client.send(get('/livez'))
  t.equal((await client.response()).status, 200)
  const body = get('/public/smuggled').repeat(200)
  // Refused at once; the rest of the body is read and dropped.
  client.send(`POST /api HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`)
  t.equal((await client.response()).status, 401)
  for (let at = 0; at < body.length; at += 1_000) client.send(body.slice(at, at + 1_000))
  client.send(get('/livez') + get('/public/real'))
  t.equal((await client.response()).status, 200)
  t.equal((await client.response()).status, 200)
  t.same(
    upstream.seen.map(({ url }) => url),
    ['/public/real']
  )
})

test('an end of the connection that the general lane asks for is kept, and a client that leaves ends both', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const last = get('/livez', undefined, 'Connection: close\r\n')
  const { responses, isClosed } = await exchange(gateway.port, last + get('/public/late'), { count: 2 })
  t.same(
    responses.map(({ status }) => status),
    [200]
  )
  t.equal(isClosed, true)
  t.equal(upstream.seen.length, 0)
  const client = await openClient(t, gateway.port)
  client.send(get('/livez'))
  await client.response()
  client.send(`POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{`)
  await until(() => gateway.gateway.active === 1)
  client.close()
  await until(() => gateway.gateway.active === 0)
})

test('a connection that is handed over later keeps its address, and ends in order', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const client = await openClient(t, gateway.port)
  const chunked = 'POST /public/c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n'
  for (const text of [get('/livez'), get('/public/1'), chunked, get('/public/2'), get('/livez')]) {
    client.send(text)
    t.equal((await client.response()).status, 200)
  }
  const { fast, own, kept } = await countsOf(gateway)
  t.same({ fast, own, kept }, { fast: 1, own: 1, kept: 2 })
  t.equal(upstream.seen.at(-1)?.headers['x-forwarded-for'], '127.0.0.1')
})

test('a client that does not read an answer of the general lane is given up, and its upstream with it', async (t) => {
  const url = await startServer(t, (_req, res) => {
    const block = Buffer.alloc(1024 * 1024, 'x')
    const write = (): void => {
      while (!res.destroyed) if (!res.write(block)) return void res.once('drain', write)
    }
    write()
  })
  const limits = { writeIdleTimeout: '300ms' }
  const server = { host: '127.0.0.1', port: 1, limits, drain: { delay: '10ms', timeout: '2s' } }
  const gateway = await buildTestGateway(t, url, { config: { server } })
  const client = await openClient(t, gateway.port)
  client.socket.pause()
  client.send(get('/public/%61'))
  await until(() => gateway.gateway.active === 1)
  await until(() => gateway.gateway.active === 0)
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
})
