/** The server behind both listeners, from a raw socket. */
import { connect } from 'node:net'
import { test } from 'tap'
import { startServer } from '../support/http-server.ts'
import { exchange } from '../support/raw-client.ts'
import { idle } from '../support/timers.ts'
import { until } from '../support/until.ts'

const statuses = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))

test('pipelined requests are served one after the other, in order', async (t) => {
  let atOnce = 0
  let most = 0
  const order: string[] = []
  const { port, underWay } = await startServer(t, {
    serve(_req, res, { target }) {
      most = Math.max(most, ++atOnce)
      order.push(target.path)
      setImmediate(() => {
        atOnce--
        res.end(target.path)
      })
    }
  })
  const count = 3_000
  const bytes = Array.from({ length: count }, (_, n) => `GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')
  const { responses } = await exchange(port, bytes, { count })
  t.equal(responses.length, count)
  t.equal(most, 1)
  t.same(
    order,
    Array.from({ length: count }, (_, n) => `/${n}`)
  )
  await until(() => underWay() === 0)
})

test('a request after a slow one waits, and its body arrives', async (t) => {
  const bodies: string[] = []
  const { port } = await startServer(t, {
    serve(req, res) {
      let body = ''
      req.on('data', (chunk: Buffer) => {
        body += chunk.toString()
      })
      req.on('end', () => {
        bodies.push(body)
        idle().then(() => res.end('done'))
      })
    }
  })
  const post = (body: string) => `POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  const large = 'x'.repeat(500_000)
  t.same(
    statuses((await exchange(port, post('a') + post('b') + post(large) + post('c'), { count: 4 })).text),
    [200, 200, 200, 200]
  )
  t.same(
    bodies.map((body) => body.length),
    [1, 1, 500_000, 1]
  )
})

test('no request after the last response of a connection is served', async (t) => {
  const paths: string[] = []
  const { port } = await startServer(t, {
    serve(_req, res, { target }) {
      paths.push(target.path)
      res.setHeader('connection', 'close')
      setImmediate(() => res.end())
    }
  })
  const bytes = 'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n'
  const { text } = await exchange(port, bytes, { count: 2 })
  t.same(statuses(text), [200])
  t.same(paths, ['/1'])
})

test('100 Continue is sent when the body is read, and never before a refusal', async (t) => {
  const { port } = await startServer(t, {
    serve(req, res, { target }) {
      if (target.path === '/no') {
        res.writeHead(401, { connection: 'close' }).end()
        return
      }
      req.resume()
      req.on('end', () => res.end('read'))
    }
  })
  const head = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n`
  t.same(statuses((await exchange(port, head('/no'))).text), [401])
  t.same(statuses((await exchange(port, `${head('/yes')}{}`)).text), [100, 200])
  const { text: refused } = await exchange(port, head('/../x'))
  t.same(statuses(refused), [400])
  t.match(refused, /connection: close/i, 'the next bytes could be the body or a request')
})

test('a handler that throws costs its own request, and the log has the error', async (t) => {
  const { port, errors, records, underWay } = await startServer(t, {
    serve(_req, res, { target }) {
      if (target.path === '/throw') throw new Error('a fault of the gateway')
      res.end('fine')
    },
    upgrade() {
      throw new Error('a fault in an upgrade')
    }
  })
  const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
  const { text } = await exchange(port, get('/throw') + get('/fine'), { count: 2 })
  t.same(statuses(text), [500, 200])
  t.match(text, /"code":"internal_error"/)
  t.notMatch(text, /fault/)
  t.equal(errors.length, 1)
  t.same(
    records.map(({ reason, status }) => [reason, status]),
    [
      ['internal_error', 500],
      ['', 200]
    ]
  )
  const upgrade = 'Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n'
  t.same(statuses((await exchange(port, `GET /ws HTTP/1.1\r\nHost: a\r\n${upgrade}\r\n`)).text), [500])
  t.equal(errors.length, 2)
  await until(() => underWay() === 0)
})

test('a refusal reaches a client that sends its whole body before it reads', async (t) => {
  const { port } = await startServer(t, { serve: (_req, res) => void res.end() })
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  let received = ''
  const over = new Promise((resolve) => socket.on('close', resolve))
  socket.on('error', (error) => t.fail(`reset: ${error.message}`))
  socket.write('POST /../x HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n')
  for (let sent = 0; sent < 300_000; sent += 30_000) {
    socket.write(Buffer.alloc(30_000))
    await idle()
  }
  socket.on('data', (chunk) => {
    received += chunk.toString()
  })
  socket.on('end', () => socket.end())
  await over
  t.same(statuses(received), [400])
})

test('an idle connection is served until the end of a close, and gets Connection: close', async (t) => {
  const { port, server } = await startServer(t, {
    serve(_req, res) {
      res.setHeader('connection', 'close')
      res.end('late')
    }
  })
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  await until(() => server.connections === 1)
  const closed = server.close(10_000)
  socket.write('GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
  const text = await new Promise<string>((resolve) => {
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString()
    })
    socket.on('end', () => {
      socket.end()
      resolve(received)
    })
  })
  t.match(text, /^HTTP\/1\.1 200 /)
  t.match(text, /late$/)
  await closed
})

test('a refused request gets no second answer when the rest of it is broken', async (t) => {
  const { port } = await startServer(t, { serve: (_req, res) => void res.end() })
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => socket.destroy())
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk.toString()
  })
  socket.write('POST /../x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello')
  await until(() => received.includes('request_id'))
  const over = new Promise((resolve) => socket.on('close', resolve))
  socket.end()
  await over
  t.same(statuses(received), [400])
})
