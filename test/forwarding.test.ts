/** Forwarding: bodies unchanged and unbuffered in both directions, each request to the right
 *  target, and nothing left running when one side disconnects. */
import { createHash, randomBytes } from 'node:crypto'
import { request as httpRequest, type IncomingMessage, METHODS, type ServerResponse } from 'node:http'
import { test } from 'tap'
import { buildTestGateway, next } from './support/gateway.ts'
import { startServer } from './support/listen.ts'
import { get, openClient } from './support/raw-client.ts'
import { ok, startRawUpstream } from './support/raw-upstream.ts'
import { until } from './support/until.ts'
import { startUpstream } from './support/upstream.ts'

const MB = 1024 * 1024
/** lifecycle.test.ts sends more, and looks at the memory of the process. */
const MEGABYTES = 40

const routes = (...more: Record<string, unknown>[]) => ({
  config: { routes: [{ path: '/public', upstream: 'app', auth: 'public', bodyLimit: '1gb' }, ...more] }
})

test('a body of many megabytes goes up and comes down byte for byte, at the pace of the slower side', async (t) => {
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
    let left = MEGABYTES
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
  const block = randomBytes(MB)
  const expected = createHash('sha256')
  const upload = httpRequest(`${gateway.url}/public/up`, {
    method: 'PUT',
    headers: { 'content-length': MEGABYTES * MB }
  })
  const answered = next(upload, 'response')
  for (let count = 0; count < MEGABYTES; count++) {
    expected.update(block)
    if (!upload.write(block)) await next(upload, 'drain')
  }
  upload.end()
  const [response] = (await answered) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += chunk
  t.equal(text, `${MEGABYTES * MB} ${expected.digest('hex')}`)

  const download = httpRequest(`${gateway.url}/public/down`)
  download.end()
  const [stream] = (await next(download, 'response')) as [IncomingMessage]
  // A slow consumer: nothing is read for a while, and the upstream is paused.
  await until(() => slowest?.writableNeedDrain === true)
  let received = 0
  for await (const chunk of stream) received += (chunk as Buffer).length
  t.equal(received, MEGABYTES * MB)
})

test('large bodies of many responses at once keep their bytes, whatever the pace of their clients', async (t) => {
  const size = 3 * MB
  const url = await startServer(t, (req, res) => {
    const isChunked = req.url?.includes('chunked') === true
    res.writeHead(200, isChunked ? {} : { 'content-length': size })
    const letter = req.url?.at(-1) ?? ''
    for (let sent = 0; sent < size; sent += MB) res.write(Buffer.alloc(MB, letter))
    res.end()
  })
  const gateway = await buildTestGateway(t, url, routes())
  const download = async (path: string, pauses: number, isAborted: boolean) => {
    const request = httpRequest(`${gateway.url}${path}`)
    request.end()
    const [response] = (await next(request, 'response')) as [IncomingMessage]
    const expected = Buffer.alloc(MB, path.at(-1))
    let [bytes, wrong, left] = [0, 0, pauses]
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (!chunk.equals(expected.subarray(0, chunk.length))) wrong++
      if (isAborted && bytes > MB) request.destroy()
      if (left-- <= 0) return
      response.pause()
      setTimeout(() => response.resume(), 2)
    })
    response.on('error', () => {})
    await new Promise((resolve) => response.on('close', resolve))
    return isAborted ? wrong : [wrong, bytes]
  }
  for (let round = 0; round < 3; round++) {
    const answers = [...'abcdefgh'].map((letter, index) => {
      const path = `/public/${index % 2 === 0 ? 'chunked' : 'known'}/${letter}`
      return download(path, index * 4, index === 7)
    })
    t.same(await Promise.all(answers), [...Array(7).fill([0, size]), 0])
  }
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

test('an empty chunked body reaches an upstream whose connection opens meanwhile, and one that is open', async (t) => {
  const bodies: string[] = []
  const { url } = await startUpstream(t, (_req, res, { body }) => {
    bodies.push(body)
    res.end('read')
  })
  for (const trailer of ['', 'X-Checksum: abc\r\n']) {
    // Its own gateway: the first request finds no open connection.
    const { port } = await buildTestGateway(t, url)
    const client = await openClient(t, port)
    for (let count = 0; count < 3; count++) {
      client.send(`POST /public/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${trailer}\r\n`)
      t.match(await client.response(), { status: 200, body: 'read' })
    }
  }
  t.same(bodies, ['', '', '', '', '', ''])
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
  let slow: (() => void) | undefined
  const upstream = await startUpstream(t, (_req, res, seen) => {
    const answer = () => res.end(`${seen.url} ${seen.headers['x-user-id'] ?? 'nobody'}`)
    if (seen.url.endsWith('slow')) slow = answer
    else answer()
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
  await until(() => slow !== undefined)
  slow?.()
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
