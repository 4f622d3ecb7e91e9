/** Forwarding: bodies unchanged and unbuffered in both directions, each request to the right
 *  target, and nothing left running when one side disconnects. */
import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest, type IncomingMessage, METHODS, type ServerResponse } from 'node:http'
import { type Test, test } from 'tap'
import { valuesOf } from './support/attack.ts'
import { APPID, buildTestGateway, next, type TestGateway } from './support/gateway.ts'
import { startServer } from './support/listen.ts'
import { freePort } from './support/process.ts'
import { get, openClient } from './support/raw-client.ts'
import { ok, startRawUpstream } from './support/raw-upstream.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const MB = 1024 * 1024

const routes = (...more: Record<string, unknown>[]) => ({
  config: { routes: [{ path: '/public', upstream: 'app', auth: 'public', bodyLimit: '1gb' }, ...more] }
})

test('a body of 200 MB goes up and comes down without being held in memory', async (t) => {
  let slowest: ServerResponse | undefined
  const url = await startServer(t, (req, res) => {
    const hash = createHash('sha256')
    let bytes = 0
    req.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      bytes += chunk.length
    })
    if (req.url === '/public/up') {
      req.on('end', () => res.end(`${bytes} ${hash.digest('hex')}`))
      return
    }
    slowest = res
    const chunk = Buffer.alloc(MB, 'd')
    let left = 200
    const write = () => {
      while (left > 0) {
        left--
        if (!res.write(chunk)) {
          res.once('drain', write)
          return
        }
      }
      res.end()
    }
    write()
  })
  const gateway = await buildTestGateway(t, url, routes())
  // Client, gateway and upstream share this process: allow three times its own buffers, but never
  // the body.
  const before = process.memoryUsage.rss()
  let peak = before
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss())
  }, 20)
  t.teardown(() => clearInterval(watch))

  const block = randomBytes(MB)
  const expected = createHash('sha256')
  const upload = httpRequest(`${gateway.url}/public/up`, { method: 'PUT', headers: { 'content-length': 200 * MB } })
  const answered = next(upload, 'response')
  for (let count = 0; count < 200; count++) {
    expected.update(block)
    if (!upload.write(block)) await next(upload, 'drain')
  }
  upload.end()
  const [response] = (await answered) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  t.equal(text, `${200 * MB} ${expected.digest('hex')}`)

  const download = httpRequest(`${gateway.url}/public/down`)
  download.end()
  const [stream] = (await next(download, 'response')) as [IncomingMessage]
  // A slow consumer: nothing is read for a while, and the upstream is paused.
  await until(() => slowest?.writableNeedDrain === true)
  let received = 0
  for await (const chunk of stream) received += (chunk as Buffer).length
  t.equal(received, 200 * MB)
  clearInterval(watch)
  t.ok(peak - before < 200 * MB, `${Math.round((peak - before) / MB)} MB more at the peak`)
})

test('an event reaches the client as it is sent, and a silent event stream stays open', async (t) => {
  let stream: ServerResponse | undefined
  const url = await startServer(t, (req, res) => {
    const isEvents = req.url === '/public/events'
    if (isEvents) stream = res
    res.writeHead(200, { 'content-type': isEvents ? 'text/event-stream; charset=utf-8' : 'text/plain' })
    res.write('data: 1\n\n')
  })
  const gateway = await buildTestGateway(t, url, {
    config: { upstreams: { app: { targets: [{ url }], timeouts: { idle: '100ms' } } } }
  })
  const client = await openClient(t, gateway.port)
  client.send(get('/public/events'))
  await until(() => client.pending.includes('data: 1'))
  // The idle timeout ends two other silent responses, one after the other, meanwhile.
  for (let round = 0; round < 2; round++) {
    const plain = await openClient(t, gateway.port)
    plain.send(get('/public/plain'))
    await plain.closed
  }
  t.notOk(client.isClosed)
  stream?.write('data: 2\n\n')
  await until(() => client.pending.includes('data: 2'))
  client.close()
  await next(stream as ServerResponse, 'close')
})

test('a head whose body is slow is sent at once', async (t) => {
  let answering: ServerResponse | undefined
  const url = await startServer(t, (_req, res) => {
    answering = res
    res.writeHead(200, { 'x-early': 'yes' })
    res.flushHeaders()
  })
  const gateway = await buildTestGateway(t, url)
  const client = await openClient(t, gateway.port)
  client.send(get('/public/x'))
  await until(() => client.pending.includes('x-early: yes'))
  answering?.end('late')
  t.equal((await client.response()).body, 'late')
})

test('a body passes byte for byte, whatever type it claims', async (t) => {
  const url = await startServer(t, (req, res) => {
    const chunks: Buffer[] = []
    req.on('data', (chunk: Buffer) => chunks.push(chunk))
    req.on('end', () => {
      res.setHeader(
        'x-got',
        JSON.stringify({
          type: req.headers['content-type'],
          length: req.headers['content-length'],
          te: req.headers['transfer-encoding'],
          trailers: req.rawTrailers
        })
      )
      res.end(Buffer.concat(chunks))
    })
  })
  const gateway = await buildTestGateway(t, url)
  const every = Buffer.from(Array.from({ length: 256 }, (_, index) => index)).toString('latin1')
  const cases: readonly (readonly [string, string])[] = [
    ['application/json', '{"__proto__":{}}x'],
    ['application/json', '{"a":1,"a":2}'],
    ['application/json', ''],
    ['application/json; charset=utf-16', every],
    [';;;', 'text'],
    ['text/plain;;q=;', every],
    ['multipart/form-data', '--no boundary'],
    ['application/x-www-form-urlencoded', '%zz&&&=']
  ]
  const client = await openClient(t, gateway.port)
  for (const [type, body] of cases) {
    const length = body.length
    client.send(
      Buffer.from(
        `POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: ${length}\r\n\r\n${body}`,
        'latin1'
      )
    )
    const answer = await client.response()
    t.equal(answer.status, 200, type)
    t.equal(answer.body, body, type)
    t.match(JSON.parse(answer.headers['x-got'] ?? ''), { type, length: String(length) })
  }
  client.send(
    Buffer.from(
      `POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-OpenId\r\n\r\n3;ext=1\r\nabc\r\n100\r\n${every}\r\n0\r\nX-OpenId: EVIL\r\n\r\n`,
      'latin1'
    )
  )
  const answer = await client.response()
  t.equal(answer.body, `abc${every}`)
  t.match(JSON.parse(answer.headers['x-got'] ?? ''), { te: 'chunked', trailers: [] }, 'a trailer is not passed on')
  client.send('POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n')
  t.match(await client.response(), { status: 200, body: '' })
  client.send(get('/public/x'))
  t.match(await client.response(), { status: 200, body: '' }, 'the connection is in step')
})

test('responses of every kind keep the connection in step', async (t) => {
  const answers: Record<string, string> = {
    '/public/204': 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n',
    '/public/304': 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n',
    '/public/chunked':
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: late\r\n\r\n',
    '/public/length': ok('abcde'),
    '/public/empty': ok(''),
    '/public/early': `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${ok('abcde')}`,
    '/public/401': 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=app\r\nContent-Length: 2\r\n\r\nno'
  }
  const upstream = await startRawUpstream(t, (socket, head) => {
    const path = head.split(' ')[1] ?? ''
    const answer = answers[path] ?? ok('?')
    socket.write(head.startsWith('HEAD') ? answer.slice(0, answer.lastIndexOf('\r\n\r\n') + 4) : answer)
  })
  const gateway = await buildTestGateway(t, upstream.url)
  const client = await openClient(t, gateway.port)
  const expected = {
    '/public/204': { status: 204, body: '' },
    '/public/304': { status: 304, body: '' },
    '/public/chunked': { status: 200, body: 'abcde' },
    '/public/length': { status: 200, body: 'abcde' },
    '/public/empty': { status: 200, body: '' },
    '/public/early': { status: 200, body: 'abcde' },
    '/public/401': { status: 401, body: 'no', headers: { 'www-authenticate': 'Basic realm=app' } }
  }
  for (const [path, answer] of [...Object.entries(expected), ...Object.entries(expected).reverse()]) {
    client.send(get(path))
    t.match(await client.response(), answer, path)
  }
  // All at once, over one connection: answers come in the order of the requests.
  client.send(
    Object.keys(expected)
      .map((path) => get(path))
      .join('')
  )
  for (const answer of Object.values(expected)) t.match(await client.response(), answer)
  client.send('HEAD /public/length HTTP/1.1\r\nHost: a\r\n\r\n')
  t.match(await client.response('HEAD'), { status: 200, headers: { 'content-length': '5' } })
  client.send(get('/public/length'))
  t.match(await client.response(), { status: 200, body: 'abcde' })
})

test('Expect: 100-continue is answered by the gateway and not forwarded', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const client = await openClient(t, gateway.port)
  client.send('POST /public/x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n')
  await until(() => client.pending.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
  client.send('body')
  t.equal((await client.response()).status, 200)
  t.equal(upstream.seen[0]?.body, 'body')
  t.notOk('expect' in (upstream.seen[0]?.headers ?? {}))
})

test('hop-by-hop request headers are removed and do not fail the request', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  for (const header of [
    'Keep-Alive: timeout=5',
    'Upgrade: websocket',
    'Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__',
    'Connection: Upgrade\r\nUpgrade: TLS/1.0, HTTP/1.1',
    'TE: gzip',
    'Proxy-Connection: keep-alive'
  ]) {
    const client = await openClient(t, gateway.port)
    client.send(get('/public/x', undefined, `${header}\r\n`))
    t.equal((await client.response()).status, 200, header)
    client.close()
    t.notMatch(Object.keys(upstream.seen.at(-1)?.headers ?? {}), [/keep-alive|upgrade|^te$|proxy|http2/])
  }
})

test('every method reaches the upstream except CONNECT and TRACE', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => res.end())
  const gateway = await buildTestGateway(t, upstream.url)
  for (const method of METHODS.filter((name) => name !== 'CONNECT' && name !== 'TRACE')) {
    const client = await openClient(t, gateway.port)
    client.send(`${method} /public/x HTTP/1.1\r\nHost: a\r\n\r\n`)
    t.equal((await client.response(method)).status, 200, method)
    t.equal(upstream.seen.at(-1)?.method, method)
    client.close()
  }
  const asked = upstream.seen.length
  for (const method of ['CONNECT', 'TRACE']) {
    const client = await openClient(t, gateway.port)
    client.send(`${method} ${method === 'CONNECT' ? 'evil.example:443' : '/public/x'} HTTP/1.1\r\nHost: a\r\n\r\n`)
    t.match(await client.response(), { status: 405, headers: { allow: '' } })
    client.close()
  }
  t.equal(upstream.seen.length, asked)
})

test('S04 the body of a GET ends at the gateway, and is not a request', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url)
  const smuggled = 'GET /public/smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
  for (const method of ['GET', 'HEAD']) {
    const client = await openClient(t, gateway.port)
    client.send(
      `${method} /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}${get('/public/next')}`
    )
    t.equal((await client.response(method)).status, 200)
    t.equal((await client.response()).status, 200)
    t.same(
      upstream.seen.splice(0).map(({ url, body }) => `${url} ${body}`),
      ['/public/x ', '/public/next ']
    )
  }
})

test('S11 pipelined requests keep their own identities', async (t) => {
  const upstream = await startUpstream(t, (_req, res, seen) => {
    setTimeout(
      () => res.end(`${seen.url} ${seen.headers['x-user-id'] ?? 'nobody'}`),
      seen.url.endsWith('slow') ? 60 : 0
    )
  })
  const gateway = await buildTestGateway(t, upstream.url)
  const alice = await gateway.login('alice')
  const bob = await gateway.login('bob')
  const client = await openClient(t, gateway.port)
  const login = '{"code":"sandbox-carol"}'
  client.send(
    get('/api/slow', alice.access_token) +
      `POST /auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${login.length}\r\n\r\n${login}` +
      get('/api/b', bob.access_token) +
      get('/api/none') +
      get('/maybe/x') +
      get('/api/a', alice.access_token)
  )
  t.equal((await client.response()).body, `/api/slow ${alice.user.id}`)
  t.match(JSON.parse((await client.response()).body), { user: { is_new: true } })
  t.equal((await client.response()).body, `/api/b ${bob.user.id}`)
  t.equal((await client.response()).status, 401)
  t.equal((await client.response()).body, '/maybe/x nobody')
  t.equal((await client.response()).body, `/api/a ${alice.user.id}`)
})

test('U05 a client that disconnects ends the upstream request, in any state', async (t) => {
  const reached: string[] = []
  const ended: string[] = []
  const url = await startServer(t, (req, res) => {
    const path = req.url ?? ''
    reached.push(path)
    res.on('close', () => ended.push(path))
    if (path.endsWith('body')) res.write('some')
    req.resume()
  })
  // No timeout ends a request within this test.
  const timeouts = { response: '10m', idle: '10m' }
  const gateway = await buildTestGateway(t, url, { config: { upstreams: { app: { targets: [{ url }], timeouts } } } })
  const leave = async (path: string, bytes: string) => {
    const client = await openClient(t, gateway.port)
    client.send(bytes)
    await until(() => reached.includes(path))
    if (path.endsWith('body')) await until(() => client.pending.includes('some'))
    client.close()
    await until(() => ended.includes(path))
  }
  await leave('/public/head', get('/public/head'))
  await leave('/public/body', get('/public/body'))
  await leave('/public/upload', 'POST /public/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf')
  await leave(
    '/public/chunks',
    'POST /public/chunks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'
  )
  t.equal(gateway.gateway.parts.upstreams.get('app').targets[0]?.inFlight, 0)
  await until(() => gateway.lines.filter((line) => line.includes('"msg":"request"')).length === 4)
  t.match(gateway.lines.filter((line) => line.includes('/public/head')).join(), '"status":499')
})

test('S16 an answer that comes before the request was read reaches the client, which may continue sending for a moment', async (t) => {
  const url = await startServer(t, (req, res) => {
    res.writeHead(413, { 'content-type': 'text/plain' })
    res.end('no thanks')
    // A server that closes at once resets the connection, which may lose its own answer.
    req.resume()
  })
  const gateway = await buildTestGateway(t, url, routes())
  for (const framing of ['Content-Length: 50000000', 'Transfer-Encoding: chunked']) {
    const client = await openClient(t, gateway.port)
    client.send(`POST /public/x HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`)
    const block = Buffer.alloc(64 * 1024, 'x')
    let isSending = true
    const sending = (async () => {
      while (isSending && !client.isClosed) {
        if (framing.startsWith('T')) client.send(`${block.length.toString(16)}\r\n`)
        client.send(block)
        if (framing.startsWith('T')) client.send('\r\n')
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    })()
    const answer = await client.response()
    t.match(answer, { status: 413, body: 'no thanks', headers: { connection: 'close' } }, framing)
    await client.closed
    isSending = false
    await sending
  }
})

test('S12 a body beyond the limit is 413, and the upstream request is aborted', async (t) => {
  let aborted = 0
  let whole = 0
  const url = await startServer(t, (req, res) => {
    req.on('data', () => {})
    req.on('error', () => aborted++)
    req.on('end', () => {
      whole++
      res.end()
    })
  })
  const gateway = await buildTestGateway(t, url, {
    config: { routes: [{ path: '/public', upstream: 'app', auth: 'public', bodyLimit: '100kb' }] }
  })
  const tooLong = await openClient(t, gateway.port)
  tooLong.send('POST /public/x HTTP/1.1\r\nHost: a\r\nContent-Length: 102401\r\n\r\nx')
  t.match(await tooLong.response(), { status: 413, headers: { connection: 'close' } })
  await tooLong.closed
  const chunked = await openClient(t, gateway.port)
  chunked.send('POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`
  for (let count = 0; count < 4; count++) chunked.send(chunk)
  const answer = await chunked.response()
  t.equal(answer.status, 413)
  t.equal(JSON.parse(answer.body).code, 'body_too_large')
  await until(() => aborted === 1)
  t.equal(whole, 0)
  const fits = await gateway.call('/public/x', { method: 'POST', body: 'x'.repeat(102_400) })
  t.equal(fits.status, 200)
})

test('P31 a prefix is stripped whatever follows it', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      routes: [
        { path: '/api', upstream: 'app', auth: 'public', stripPrefix: '/api' },
        { path: '/deep/er', upstream: 'app', auth: 'public', stripPrefix: '/deep' }
      ]
    }
  })
  for (const [path, seen] of [
    ['/api', '/'],
    ['/api/', '/'],
    ['/api?x=1', '/?x=1'],
    ['/api/?x=1', '/?x=1'],
    ['/api?', '/?'],
    ['/api/a/b?/api/c', '/a/b?/api/c'],
    ['/api/api', '/api'],
    ['/api/@evil.example', '/@evil.example'],
    ['/deep/er/x', '/er/x']
  ] as const) {
    const client = await openClient(t, gateway.port)
    client.send(get(path))
    t.equal((await client.response()).status, 200, path)
    t.equal(upstream.seen.at(-1)?.url, seen, path)
    client.close()
  }
})

test('a redirect leads back through the gateway and never shows the upstream', async (t) => {
  let location = ''
  let name = 'Location'
  const upstream = await startRawUpstream(t, (socket) =>
    socket.write(`HTTP/1.1 302 Found\r\n${name}: ${location}\r\nContent-Length: 0\r\n\r\n`)
  )
  const other = await freePort()
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      upstreams: { app: { targets: [{ url: upstream.url, weight: 1000 }, { url: `http://127.0.0.1:${other}` }] } },
      routes: [
        { path: '/plain', upstream: 'app', auth: 'public' },
        { path: '/api', upstream: 'app', auth: 'public', stripPrefix: '/api' }
      ]
    }
  })
  const host = `127.0.0.1:${upstream.port}`
  const cases: readonly (readonly [string, string, string])[] = [
    // Sent by the upstream, seen by the client, seen under a stripped prefix.
    [`http://${host}/orders/1`, '/orders/1', '/api/orders/1'],
    [`HTTP://${host}/orders?a=b#c`, '/orders?a=b#c', '/api/orders?a=b#c'],
    [`https://${host}/x`, '/x', '/api/x'],
    [`//${host}/x`, '/x', '/api/x'],
    [`http://${host}`, '/', '/api'],
    [`http://${host}/`, '/', '/api'],
    [`http://${host}?a=b`, '/?a=b', '/api/?a=b'],
    [`http://127.0.0.1:${other}/x`, '/x', '/api/x'],
    [`http://${host}//evil.example/x`, '/.//evil.example/x', '/api/.//evil.example/x'],
    [`http://${host}/\\evil.example/x`, '/./\\evil.example/x', '/api/./\\evil.example/x'],
    ['/orders/1', '/orders/1', '/api/orders/1'],
    ['/', '/', '/api'],
    ['/?a=b', '/?a=b', '/api/?a=b'],
    ['next', 'next', 'next'],
    ['?page=2', '?page=2', '?page=2'],
    ['https://pay.example/x', 'https://pay.example/x', 'https://pay.example/x'],
    [`http://${host}.evil.example/x`, `http://${host}.evil.example/x`, `http://${host}.evil.example/x`],
    [`http://user@${host}/x`, `http://user@${host}/x`, `http://user@${host}/x`],
    ['//cdn.example/x', '//cdn.example/x', '//cdn.example/x'],
    ['weixin://dl/business', 'weixin://dl/business', 'weixin://dl/business']
  ]
  for (name of ['Location', 'Content-Location']) {
    for (const [sent, plain, stripped] of cases) {
      location = sent
      for (const [path, expected] of [
        ['/plain/a', plain],
        ['/api/a', stripped]
      ] as const) {
        const answer = await gateway.call(path)
        t.equal(answer.headers.get(name), expected, `${sent} from ${path}`)
      }
    }
  }
})

test("a route's timeout replaces the upstream's", async (t) => {
  const url = await startServer(t, (_req, res) => setTimeout(() => res.end('late'), 1_500))
  const gateway = await buildTestGateway(t, url, {
    config: {
      upstreams: { app: { targets: [{ url }], timeouts: { response: '300ms' } } },
      routes: [
        { path: '/short', upstream: 'app', auth: 'public' },
        { path: '/long', upstream: 'app', auth: 'public', timeout: '5s' },
        { path: '/shorter', upstream: 'app', auth: 'public', timeout: '50ms' }
      ]
    }
  })
  const status = async (path: string) => (await gateway.call(path)).status
  t.same(await Promise.all([status('/short'), status('/long'), status('/shorter')]), [504, 200, 504])
})

async function startTargets(t: Test, count: number): Promise<{ urls: string[]; hits: number[]; open: number[] }> {
  const hits = Array<number>(count).fill(0)
  const open = Array<number>(count).fill(0)
  const urls: string[] = []
  for (let index = 0; index < count; index++) {
    const url = await startServer(t, (req, res) => {
      hits[index] = (hits[index] ?? 0) + 1
      open[index] = (open[index] ?? 0) + 1
      res.on('close', () => {
        open[index] = (open[index] ?? 0) - 1
      })
      if (req.url?.endsWith('hold')) return
      res.end(String(index))
    })
    urls.push(url)
  }
  return { urls, hits, open }
}

async function withTargets(t: Test, upstream: Record<string, unknown>): Promise<TestGateway> {
  return buildTestGateway(t, 'http://127.0.0.1:1', { config: { upstreams: { app: upstream } } })
}

test('targets share the requests by weight', async (t) => {
  const { urls, hits } = await startTargets(t, 3)
  const gateway = await withTargets(t, { targets: urls.map((url, index) => ({ url, weight: index + 1 })) })
  const order: string[] = []
  for (let count = 0; count < 12; count++) order.push(await (await gateway.call('/public/x')).text())
  t.same(hits, [2, 4, 6])
  t.notMatch(order.join(''), /222/, 'smoothly, not in bursts')
})

test('leastRequests picks the target with the fewest running requests for its weight', async (t) => {
  const { urls, open } = await startTargets(t, 3)
  const gateway = await withTargets(t, {
    targets: urls.map((url, index) => ({ url, weight: index === 2 ? 2 : 1 })),
    balance: 'leastRequests'
  })
  const held = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const client = await openClient(t, gateway.port)
      client.send(get('/public/hold'))
      return client
    })
  )
  await until(() => open.reduce((sum, count) => sum + count, 0) === 8)
  t.same(open, [2, 2, 4])
  for (const client of held) client.close()
  await until(() => open.every((count) => count === 0))
  await until(() => gateway.gateway.parts.upstreams.get('app').targets.every((target) => target.inFlight === 0))
})

test('hash keeps a user on one target, and only users of a lost target move', async (t) => {
  const { urls } = await startTargets(t, 3)
  const gateway = await withTargets(t, {
    targets: urls.map((url) => ({ url })),
    balance: 'hash',
    retries: { attempts: 2 }
  })
  const tokens = await Promise.all(
    Array.from({ length: 24 }, async (_, index) => (await gateway.login(`u${index}`)).access_token)
  )
  const ask = async (token: string) => (await gateway.call('/api/x', { token })).text()
  const first = await Promise.all(tokens.map(ask))
  t.same(await Promise.all(tokens.map(ask)), first)
  t.equal(new Set(first).size, 3)
  const [lost] = gateway.gateway.parts.upstreams.get('app').targets
  if (lost) lost.avoidUntil = Number.POSITIVE_INFINITY
  const after = await Promise.all(tokens.map(ask))
  after.forEach((target, index) => {
    if (first[index] === '0') t.not(target, '0')
    else t.equal(target, first[index])
  })
})

test('a target that refuses connections costs no answer, and is avoided for a while', async (t) => {
  const { urls } = await startTargets(t, 1)
  const dead = [await freePort(), await freePort()].map((port) => ({ url: `http://127.0.0.1:${port}` }))
  const gateway = await withTargets(t, { targets: [...dead, { url: urls[0] }], retries: { attempts: 2 } })
  const statuses = await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      const init = index % 2 === 0 ? {} : { method: 'POST', body: 'body' }
      return (await gateway.call('/public/x', init)).status
    })
  )
  t.same(new Set(statuses), new Set([200]))
  t.ok(
    gateway.gateway.parts.upstreams
      .get('app')
      .targets.slice(0, 2)
      .every(({ avoidUntil }) => avoidUntil > performance.now())
  )

  const few = await withTargets(t, { targets: [...dead, { url: urls[0] }], retries: { attempts: 1 } })
  t.equal((await few.call('/public/x')).status, 502, 'no more tries than configured')
  t.equal((await few.call('/public/x')).status, 200, 'both are now known to be down')
})

test('a body survives the connect retry unchanged', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await withTargets(t, {
    targets: [{ url: `http://127.0.0.1:${await freePort()}`, weight: 1000 }, { url: upstream.url }]
  })
  const body = randomBytes(300_000).toString('hex')
  t.equal((await gateway.call('/public/x', { method: 'POST', body })).status, 200)
  t.equal(upstream.seen[0]?.body, body)
})

test('headers are set and removed as a route says, in both directions', async (t) => {
  const upstream = await startUpstream(t, (_req, res) => {
    res.writeHead(200, { 'x-powered-by': 'app', server: 'app', 'x-kept': '1', 'cache-control': 'public' }).end('ok')
  })
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      routes: [
        {
          path: '/public',
          upstream: 'app',
          auth: 'public',
          requestHeaders: { set: { 'X-Tenant': 'shop' }, remove: ['Cookie', 'x-debug'] },
          responseHeaders: {
            set: { 'Cache-Control': 'no-store', 'X-Frame-Options': 'DENY' },
            remove: ['X-Powered-By', 'server']
          }
        },
        { path: '/other', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const headers = { 'x-tenant': 'EVIL', cookie: 'a=b', 'X-Debug': '1', 'x-kept': '1' }
  const answer = await gateway.call('/public/x', { headers })
  t.match(upstream.seen[0]?.headers, { 'x-tenant': 'shop', 'x-kept': '1' })
  t.notOk('cookie' in (upstream.seen[0]?.headers ?? {}) || 'x-debug' in (upstream.seen[0]?.headers ?? {}))
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.equal(answer.headers.get('x-frame-options'), 'DENY')
  t.equal(answer.headers.get('x-kept'), '1')
  t.notOk(answer.headers.has('x-powered-by') || answer.headers.has('server'))
  const other = await gateway.call('/other/x', { headers: { cookie: 'a=b' } })
  t.equal(other.headers.get('x-powered-by'), 'app')
  t.equal(upstream.seen[1]?.headers.cookie, 'a=b')
  t.notOk('x-tenant' in (upstream.seen[1]?.headers ?? {}), 'a header that a route sets cannot be sent by a client')
})

test('a header that a route sets replaces any received one', async (t) => {
  const upstream = await startUpstream(t)
  const set = { 'Content-Type': 'text/plain', 'X-Client-IP': '192.0.2.1', Accept: 'text/plain' }
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      server: { host: '127.0.0.1', port: 1, trustedProxies: ['127.0.0.1'] },
      routes: [
        { path: '/public', upstream: 'app', auth: 'public', requestHeaders: { set } },
        { path: '/other', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const headers = { 'content-type': 'application/json', 'x-client-ip': '203.0.113.7', accept: 'a/b' }
  for (const path of ['/public/x', '/other/x']) await gateway.call(path, { method: 'POST', body: '{}', headers })
  const [edited, other] = upstream.seen
  for (const [name, value] of Object.entries(set)) t.same(valuesOf(edited ?? { rawHeaders: [] }, name), [value], name)
  t.match(other?.headers, { 'content-type': 'application/json', 'x-client-ip': '203.0.113.7' }, 'another route')
})

test("identity has WeChat Cloud Run's names on routes that ask for them, and wxgate's elsewhere", async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      routes: [
        { path: '/run', upstream: 'app', identity: { headers: 'cloudrun' } },
        { path: '/own', upstream: 'app' }
      ]
    }
  })
  const { access_token: token } = await gateway.login('alice')
  const headers = { 'x-wx-openid': 'EVIL', 'x-openid': 'EVIL', 'x-wx-source': 'EVIL', 'x-wx-from-openid': 'EVIL' }
  await gateway.call('/run/x', { token, headers })
  await gateway.call('/own/x', { token, headers })
  const [run, own] = upstream.seen.map((seen) => seen.headers)
  t.match(run, { 'x-wx-openid': /^o/, 'x-wx-appid': APPID, 'x-wx-source': 'wx_client' })
  t.equal(own?.['x-openid'], run?.['x-wx-openid'])
  t.notOk('x-openid' in (run ?? {}) || 'x-user-id' in (run ?? {}))
  t.notOk(Object.keys(own ?? {}).some((name) => name.startsWith('x-wx-')))
  t.notMatch(JSON.stringify([run, own]), /EVIL|uthorization/)
})

test('a route for GET answers HEAD, and lists its methods for the rest', async (t) => {
  const upstream = await startUpstream(t)
  const gateway = await buildTestGateway(t, upstream.url, {
    config: {
      routes: [
        { path: '/public', upstream: 'app', auth: 'public', methods: ['GET', 'POST'] },
        { path: '/write', upstream: 'app', auth: 'public', methods: ['PUT'] }
      ]
    }
  })
  t.equal((await gateway.call('/public/x', { method: 'HEAD' })).status, 200)
  const refused = await gateway.call('/public/x', { method: 'DELETE' })
  t.equal(refused.status, 405)
  t.same(new Set(refused.headers.get('allow')?.split(', ')), new Set(['GET', 'HEAD', 'POST']))
  t.match(await refused.json(), { code: 'method_not_allowed', action: 'none' })
  t.equal((await gateway.call('/write/x', { method: 'HEAD' })).status, 405)
  t.equal(upstream.seen.length, 1)
})
