/** Connections to targets: which ones are used again, and which never. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type Test, test } from 'tap'
import { type Clock, systemClock } from '../../src/clock.ts'
import { createReadBuffers } from '../../src/http/body/read-buffer.ts'
import type { StreamedBody } from '../../src/http/body/streamed-body.ts'
import { formatLines, NO_LINES } from '../../src/http/headers/header-lines.ts'
import type { ResponseHandler, UpstreamConnection } from '../../src/upstream/connection/messages.ts'
import { ConnectionPool } from '../../src/upstream/connection/pool.ts'
import { codeOf, isStale } from '../../src/upstream/failures.ts'
import { createFakeClock } from '../support/clock.ts'
import { startRawUpstream } from '../support/raw-upstream.ts'
import { NO_TLS } from '../support/targets.ts'
import { idle } from '../support/timers.ts'
import { until } from '../support/until.ts'

const GET = {
  method: 'GET',
  path: '/x',
  host: null,
  headers: ['X-Bytes', 'caf\xe9'],
  body: null,
  own: NO_LINES,
  bodyLength: 0,
  responseTimeoutMs: 10_000,
  deadlineAt: Number.POSITIVE_INFINITY
}
const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

interface PoolLimits {
  readonly tls?: typeof NO_TLS | (Omit<typeof NO_TLS, 'cert' | 'key'> & { cert: string; key: string })
  readonly clock?: Clock
  readonly idleMs?: number
  readonly maxAgeMs?: number
  readonly connectTimeoutMs?: number
  readonly addresses?: readonly string[]
}

function openPool(t: Test, url: string, limits: PoolLimits = {}): ConnectionPool {
  const { addresses = ['127.0.0.1'] } = limits
  const answer = addresses.map((address) => ({ address, family: 4 }))
  const pool = new ConnectionPool({
    origin: new URL(url),
    tls: { ...NO_TLS, insecureSkipVerify: true },
    connectTimeoutMs: 2_000,
    idleMs: 30_000,
    maxAgeMs: 0,
    clock: systemClock,
    buffers: createReadBuffers(),
    lookup: (_name, options, callback) => callback(null, options.all ? answer : (answer[0]?.address ?? ''), 4),
    ...limits
  })
  t.teardown(() => pool.destroy())
  return pool
}

/** A response as one handler saw it. */
class Answer implements ResponseHandler {
  status = 0
  head: string[] = []
  body = ''
  interim: number[] = []
  wasSent = false
  error: Error | null = null
  connection: UpstreamConnection | null = null
  readonly ended: Promise<this>
  #end: () => void = () => {}
  /** False: `onData` asks to stop reading. */
  takesMore = true

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#end = () => resolve(this)
    })
  }

  onSent(connection: UpstreamConnection): void {
    this.connection = connection
    this.wasSent = true
  }
  onInformational(status: number): void {
    this.interim.push(status)
  }
  onHead(status: number, head: string[]): void {
    this.status = status
    this.head = head
  }
  onData(chunk: Buffer): boolean {
    this.body += chunk.toString('latin1')
    return this.takesMore
  }
  onEnd(): void {
    this.#end()
  }
  onError(error: Error): void {
    this.error = error
    this.#end()
  }
}

function send(pool: ConnectionPool, request: object = {}): Promise<Answer> {
  const answer = new Answer()
  pool.send({ ...GET, ...request }, answer)
  return answer.ended
}

test('a request keeps its bytes, and the connection serves the next one', async (t) => {
  const upstream = await startRawUpstream(t, (socket) => socket.write(`HTTP/1.1 103 Early Hints\r\n\r\n${OK}`))
  const pool = openPool(t, upstream.url)
  for (let count = 0; count < 3; count++) {
    const { status, body, interim, wasSent } = await send(pool)
    t.same([status, body, interim, wasSent], [200, 'ok', [103], true])
    t.same([pool.open, pool.idle], [1, 1])
  }
  t.equal(upstream.accepted, 1)
  t.equal(
    upstream.heads[0],
    `GET /x HTTP/1.1\r\nHost: 127.0.0.1:${upstream.port}\r\nX-Bytes: caf\xe9\r\nConnection: keep-alive`
  )
})

test('the connection that became idle last serves first', async (t) => {
  const sockets: Socket[] = []
  const upstream = await startRawUpstream(t, (socket) => void sockets.push(socket))
  const pool = openPool(t, upstream.url)
  const answers = [send(pool), send(pool)]
  await until(() => sockets.length === 2)
  sockets[1]?.write(OK)
  await answers[1]
  sockets[0]?.write(OK)
  await answers[0]
  const third = send(pool)
  await until(() => sockets.length === 3)
  t.equal(sockets[2], sockets[0])
  sockets[2]?.write(OK)
  await third
})

test('an idle connection that the target closed or wrote to is never used', async (t) => {
  for (const [name, ending] of [
    ['closed', (socket: Socket) => socket.end()],
    ['reset', (socket: Socket) => socket.resetAndDestroy()],
    ['spoke unasked', (socket: Socket) => socket.write(OK)]
  ] as const) {
    const sockets: Socket[] = []
    const upstream = await startRawUpstream(t, (socket) => {
      sockets.push(socket)
      socket.write(OK)
    })
    const pool = openPool(t, upstream.url)
    await send(pool)
    if (sockets[0]) ending(sockets[0])
    await until(() => pool.open === 0)
    t.match(await send(pool), { status: 200, error: null }, name)
    t.equal(upstream.accepted, 2)
  }
})

test('bytes behind a response count for no other request', async (t) => {
  const upstream = await startRawUpstream(t, (socket, head) => socket.write(head.includes('/first') ? OK + OK : OK))
  const pool = openPool(t, upstream.url)
  t.match(await send(pool, { path: '/first' }), { body: 'ok', error: null })
  t.equal(pool.idle, 0)
  t.match(await send(pool), { body: 'ok', error: null })
  t.equal(upstream.accepted, 2)
})

test('a connection is closed after its idle time, earlier when the target announces so, and at its age', async (t) => {
  const upstream = await startRawUpstream(t, (socket, head) =>
    socket.write(head.includes('/short') ? OK.replace('\r\n\r\n', '\r\nKeep-Alive: timeout=3, max=100\r\n\r\n') : OK)
  )
  const clock = createFakeClock()
  const pool = openPool(t, upstream.url, { clock, idleMs: 10_000, maxAgeMs: 15_000 })
  await send(pool)
  clock.advance(9_999)
  t.equal(pool.idle, 1)
  clock.advance(1)
  await until(() => upstream.open === 0)
  await send(pool, { path: '/short' })
  clock.advance(2_000)
  await send(pool)
  t.equal(upstream.accepted, 3, 'one second before the announced end')
  for (let seconds = 0; seconds < 14; seconds += 7) {
    clock.advance(7_000)
    await send(pool)
  }
  t.equal(upstream.accepted, 3)
  clock.advance(1_000)
  await send(pool)
  t.equal(upstream.accepted, 4, 'at its age')
})

test('a connection that dies before the first byte is stale only when it served before', async (t) => {
  const upstream = await startRawUpstream(t, (socket, _head, count) => {
    if (count === 2) socket.write(OK)
    else socket.destroy()
  })
  const pool = openPool(t, upstream.url)
  const first = await send(pool)
  t.same([codeOf(first.error), isStale(first.error), first.wasSent], ['CLOSED', false, true])
  await send(pool)
  const third = await send(pool)
  t.same([codeOf(third.error), isStale(third.error)], ['CLOSED', true])
})

test('a response that breaks off is an error and no stale connection', async (t) => {
  const upstream = await startRawUpstream(t, (socket, _head, count) => {
    if (count === 1) socket.write(OK)
    else socket.end(OK.slice(0, -1))
  })
  const pool = openPool(t, upstream.url)
  await send(pool)
  const { status, body, error } = await send(pool)
  t.same([status, body, codeOf(error), isStale(error)], [200, 'o', 'HTTP_INCOMPLETE', false])
})

function streamed(stream: Readable): StreamedBody {
  return {
    start(receiver) {
      stream.on('data', (chunk) => receiver.onBodyData(chunk, false))
      stream.on('end', () => receiver.onBodyEnd())
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    destroy: () => void stream.destroy()
  }
}

test('an answer before the end of a body reaches its request, and the connection serves no other', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  const pool = openPool(t, `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`)
  let chunks = 0
  const body = new Readable({
    read() {
      chunks++
      setImmediate(() => this.push(Buffer.alloc(1_000)))
    }
  })
  const answer = await send(pool, { method: 'POST', body: streamed(body), bodyLength: -1 })
  t.match(answer, { status: 413, body: 'big', error: null })
  t.equal(pool.open, 0)
  const sent = chunks
  await new Promise((resolve) => setImmediate(resolve))
  t.ok(chunks - sent <= 20, 'the body is read no further')
})

test('a body is framed by its length or in chunks, and small ones leave with their head', async (t) => {
  const received: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      received.push(chunk.toString('latin1'))
      if (/0\r\n\r\n$|ab$|Content-Length: 0\r\n.*\r\n\r\n$/s.test(received.join(''))) socket.write(OK)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const address = server.address()
  const pool = openPool(t, `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`)
  const take = async (request: object) => {
    received.length = 0
    t.equal((await send(pool, { method: 'POST', headers: [], ...request })).status, 200)
    return received
  }
  const known = await take({ body: Buffer.from('ab'), bodyLength: 2 })
  t.equal(known.length, 1, 'one write')
  t.match(known[0], /\r\nContent-Length: 2\r\n[\s\S]*\r\n\r\nab$/)
  const chunked = await take({
    body: streamed(Readable.from([Buffer.from('a'), Buffer.from('b'.repeat(17))])),
    bodyLength: -1
  })
  t.match(chunked.join(''), /\r\nTransfer-Encoding: chunked\r\n[\s\S]*\r\n\r\n1\r\na\r\n11\r\nb{17}\r\n0\r\n\r\n$/)
  t.match((await take({})).join(''), /\r\nContent-Length: 0\r\n/, 'an empty POST')
  t.equal(pool.open, 1)
})

test('a head that would read as more lines is never sent', async (t) => {
  const upstream = await startRawUpstream(t, (socket) => socket.write(OK))
  const pool = openPool(t, upstream.url)
  for (const request of [
    { headers: ['X-A', 'b\r\nX-OpenId: forged'] },
    { headers: ['X-A\r\nX-OpenId: forged', 'b'] },
    { path: '/x HTTP/1.1\r\nX-OpenId: forged' },
    { host: 'a\nb' },
    { own: { text: 'X-Forwarded-For: a\r\nX-OpenId: forged\r\nCDN-Loop: ', count: 1, prepared: 'b\r\n' } }
  ]) {
    const { error, wasSent } = await send(pool, request)
    t.same([error?.message, wasSent], ['a request head holds a line end', false])
  }
  t.equal(upstream.heads.length, 0)
  t.throws(() => formatLines(['X-User-Id', 'a\r\nX-OpenId: forged']), { message: 'a header holds a line end' })
})

test('reading stops while the receiver is slower, and goes on', async (t) => {
  const size = 8 * 1024 * 1024
  let written = 0
  const upstream = await startRawUpstream(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
    const more = () => {
      while (written < size) {
        written += 65_536
        if (!socket.write(Buffer.alloc(65_536, 'x'))) return
      }
    }
    socket.on('drain', more)
    more()
  })
  const pool = openPool(t, upstream.url)
  const answer = new Answer()
  answer.takesMore = false
  pool.send(GET, answer)
  await until(() => answer.body !== '')
  const held = answer.body.length
  await idle()
  t.equal(answer.body.length, held)
  t.ok(written < size, 'the target is held back')
  answer.takesMore = true
  answer.connection?.resume(answer)
  await answer.ended
  t.equal(answer.body.length, size)
  t.equal(answer.error, null)
})

test('an aborted request gets no further call, and its connection ends', async (t) => {
  const upstream = await startRawUpstream(t, (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf')
  )
  const pool = openPool(t, upstream.url)
  const answer = new Answer()
  pool.send(GET, answer)
  await until(() => answer.body === 'half')
  answer.connection?.abort(answer)
  answer.connection?.fail(answer, new Error('late'))
  await until(() => upstream.open === 0)
  t.same([answer.error, pool.open], [null, 0])
})

test('a late call for an earlier request does not disturb the next one', async (t) => {
  let waiting: Socket | undefined
  const upstream = await startRawUpstream(t, (socket, _head, count) => {
    if (count === 1) socket.write(OK)
    else waiting = socket
  })
  const pool = openPool(t, upstream.url)
  const first = await send(pool)
  const second = send(pool)
  first.connection?.abort(first)
  first.connection?.fail(first, new Error('late'))
  await until(() => waiting !== undefined)
  waiting?.write(OK)
  t.match(await second, { status: 200, error: null })
  t.equal(upstream.accepted, 1)
})

test('a target that accepts and never answers is a timeout, one that is away an error of the socket', async (t) => {
  const silent = await startRawUpstream(t, () => {})
  const clock = createFakeClock()
  const pool = openPool(t, silent.url, { clock })
  const answer = send(pool)
  await until(() => silent.heads.length === 1)
  clock.advance(10_000)
  t.equal(codeOf((await answer).error), 'RESPONSE_TIMEOUT')
  const limited = send(pool, { deadlineAt: clock.monotonic() + 50 })
  await until(() => silent.heads.length === 2)
  clock.advance(50)
  t.equal(codeOf((await limited).error), 'RESPONSE_TIMEOUT', 'within the deadline of the route')
  const away = await send(openPool(t, 'http://127.0.0.1:1'))
  t.same([codeOf(away.error), away.wasSent], ['ECONNREFUSED', false])
})

test('several addresses of a name are tried in turn', async (t) => {
  const upstream = await startRawUpstream(t, (socket) => socket.write(OK))
  const pool = openPool(t, `http://backend.test:${upstream.port}`, { addresses: ['127.0.0.9', '127.0.0.1'] })
  const { status, error } = await send(pool)
  t.same([status, error], [200, null])
  t.match(upstream.heads[0], `\r\nHost: backend.test:${upstream.port}\r\n`)
})

test('a Unix socket is a target', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'wxgate-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const path = join(folder, 'app.sock')
  const heads: string[] = []
  const server = createServer((socket) => {
    socket.on('data', (chunk: Buffer) => {
      heads.push(chunk.toString('latin1'))
      socket.write(OK)
    })
  })
  server.listen(path)
  await once(server, 'listening')
  t.teardown(() => server.close())
  const pool = openPool(t, `unix:${path}`)
  t.equal((await send(pool)).status, 200)
  t.match(heads[0], /\r\nHost: localhost\r\n/)
})

test('a closed pool finishes running requests and keeps no connection', async (t) => {
  const sockets: Socket[] = []
  const upstream = await startRawUpstream(t, (socket) => void sockets.push(socket))
  const pool = openPool(t, upstream.url)
  const answer = send(pool)
  await until(() => sockets.length === 1)
  pool.close()
  sockets[0]?.write(OK)
  t.equal((await answer).status, 200)
  t.equal(pool.open, 0)
  const late = send(pool)
  await until(() => sockets.length === 2)
  pool.destroy()
  t.equal(codeOf((await late).error), 'CLOSED')
})

test('keys that Node refuses are an error of the request', async (t) => {
  const pool = openPool(t, 'https://127.0.0.1:1', { tls: { ...NO_TLS, cert: 'no PEM', key: 'no PEM' } })
  const { error, wasSent } = await send(pool)
  t.same([codeOf(error) !== '', wasSent, pool.open], [true, false, 0])
})
