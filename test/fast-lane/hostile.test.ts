/** Clients that leave, do not read or send too much, and gateways that reload or drain: the fast
 *  lane behaves as the general one. */
import type { Socket } from 'node:net'
import { type Test, test } from 'tap'
import { readTestConfig } from '../support/gateway.ts'
import { effectOf, type Lanes, type Side, startLanes } from '../support/lanes.ts'
import { openClient } from '../support/raw-client.ts'
import { type Answer, answerPlainly } from '../support/recording-backend.ts'
import { until } from '../support/until.ts'

const request = (method: string, path: string, lines = '', body = '') =>
  `${method} ${path} HTTP/1.1\r\nHost: gateway.example\r\n${lines}\r\n${body}`
const GET = request('GET', '/a')
const HANG = request('GET', '/hang')

interface Hanging {
  readonly lanes: Lanes
  /** Connections of the backends whose request is not answered completely. */
  readonly sockets: Set<Socket>
}

/** `/hang` gets no response, `/half` a part of one, and `/endless` more than a client reads. */
async function startHanging(t: Test, limits: object = {}): Promise<Hanging> {
  const sockets = new Set<Socket>()
  const answer: Answer = (received, socket) => {
    const [, path = ''] = received.head.split(' ', 2)
    if (!/^\/(?:hang|half|endless)/.test(path)) {
      answerPlainly(received, socket)
      return
    }
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    if (path === '/half') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    if (path === '/endless') {
      const part = 'b'.repeat(65_536)
      const write = () => {
        while (socket.writable && socket.write(part));
      }
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n')
      socket.on('drain', write)
      write()
    }
  }
  return { lanes: await startLanes(t, { answer, config: { server: { limits } } }), sockets }
}

const statusesOf = ({ gateway }: Side, from: number) =>
  gateway.lines.slice(from).flatMap((line) => {
    const { msg, status, path } = JSON.parse(line) as Record<string, unknown>
    return msg === 'request' ? [`${path} ${status}`] : []
  })

interface Phase {
  readonly bytes: string
  /** Requests that reach the backend before the client leaves. */
  readonly received: number
  /** Bytes of a response that the client has received before. */
  readonly answer?: string
  /** Lines of the access log. A client that ends its side within a body may get 400. */
  readonly log: RegExp
}

const BODY = 'Content-Length: 10\r\n'
const LEFT = /^\/hang 499$/
const LEFT_IN_BODY = /^\/hang (?:499|400)$/
const PHASES: Readonly<Record<string, Phase>> = {
  'before a byte': { bytes: '', received: 0, log: /^$/ },
  'within a head': { bytes: 'GET /a HTTP', received: 0, log: /^$/ },
  'before a body': { bytes: request('POST', '/hang', BODY), received: 1, log: LEFT_IN_BODY },
  'within a body': { bytes: request('POST', '/hang', BODY, 'ab'), received: 1, log: LEFT_IN_BODY },
  'before a response': { bytes: HANG, received: 1, log: LEFT },
  'before a response, with a part of the next head': { bytes: `${HANG}GET /a HTTP`, received: 1, log: LEFT },
  'before a response, with a further request': { bytes: HANG + GET, received: 1, log: LEFT },
  'before a response, with a request for the general lane': {
    bytes: HANG + request('GET', '/a', 'Connection: x-a\r\n'),
    received: 1,
    log: LEFT
  },
  'within a response': { bytes: request('GET', '/half'), received: 1, answer: 'half', log: /^\/half (?:200|499)$/ },
  'between requests': { bytes: GET, received: 1, answer: ' HTTP/1.1 0', log: /^\/a 200$/ },
  'within a body behind a response': {
    bytes: GET + request('POST', '/hang', BODY, 'ab'),
    received: 2,
    answer: ' HTTP/1.1 0',
    log: /^\/a 200,\/hang (?:499|400)$/
  }
}

test('a client that leaves in any phase ends its requests, and leaves nothing behind', async (t) => {
  const { lanes, sockets } = await startHanging(t)
  const { gateway, backend } = lanes.fast
  for (const [name, { bytes, received, answer = '', log }] of Object.entries(PHASES)) {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const [firstLine, firstRequest] = [gateway.lines.length, backend.received.length]
      const client = await openClient(t, gateway.port)
      client.send(bytes)
      await until(() => backend.received.length === firstRequest + received && client.pending.includes(answer))
      client.socket[leave]()
      await client.closed
      await until(() => gateway.gateway.active === 0 && sockets.size === 0)
      t.match(statusesOf(lanes.fast, firstLine).join(), log, `${name}, ${leave}`)
      t.equal(backend.received.length, firstRequest + received, `${name}, ${leave}`)
    }
  }
})

test('pipelined requests are answered in order, one at a time', async (t) => {
  const count = 3_000
  let running = 0
  let most = 0
  const answer: Answer = (received, socket) => {
    most = Math.max(most, ++running)
    setImmediate(() => {
      running--
      answerPlainly(received, socket)
    })
  }
  const { fast } = await startLanes(t, { answer })
  const requests = Array.from({ length: count }, (_, index) => request('GET', `/${index}`))
  const { text } = await effectOf(fast, [requests.join('') + request('GET', '/last', 'Connection: close\r\n')])
  const answered = [...text.matchAll(/GET \/(\d+) HTTP\/1\.1 0/g)].map(([, index]) => Number(index))
  t.same(answered, [...requests.keys()])
  t.equal(most, 1)
})

test('a client that does not read its refusals is not read any further', async (t) => {
  const count = 60_000
  const lanes = await startLanes(t)
  for (const [lane, side] of Object.entries(lanes)) {
    const silent = await openClient(t, side.gateway.port)
    const other = await openClient(t, side.gateway.port)
    silent.socket.pause()
    silent.send(request('GET', '/admin').repeat(count))
    const answered = () => side.gateway.lines.length
    await until(() => answered() > 1_000)
    await until(async () => {
      const before = answered()
      for (let index = 0; index < 30; index++) {
        other.send(GET)
        await other.response()
      }
      return answered() === before + 30
    })
    t.ok(answered() < count, lane)
    silent.close()
    other.close()
  }
})

test('a response that its client does not read ends after server.limits.writeIdleTimeout', async (t) => {
  const { lanes, sockets } = await startHanging(t, { writeIdleTimeout: '300ms' })
  const logs: unknown[] = []
  for (const side of [lanes.fast, lanes.general]) {
    const from = side.gateway.lines.length
    const client = await openClient(t, side.gateway.port)
    client.socket.pause()
    client.send(request('GET', '/endless') + GET)
    await until(() => sockets.size > 0)
    await until(() => sockets.size === 0 && side.gateway.gateway.active === 0)
    logs.push(statusesOf(side, from))
    client.close()
  }
  t.same(logs, [['/endless 200'], ['/endless 200']])
})

test('a kept connection follows a reload, and a running request ends under its own configuration', async (t) => {
  const { lanes, sockets } = await startHanging(t)
  for (const [lane, side] of Object.entries(lanes)) {
    const { gateway, backend } = side
    const client = await openClient(t, gateway.port)
    const running = await openClient(t, gateway.port)
    client.send(GET)
    t.equal((await client.response()).status, 200, lane)
    running.send(HANG)
    await until(() => sockets.size > 0)
    const config = readTestConfig({
      server: { host: '127.0.0.1', port: 1, fastLane: lane === 'fast' },
      version: 1,
      secrets: gateway.config.secrets,
      apps: [{ appid: 'wx1234567890abcdef', name: 'shop', secret: 'canary-appsecret-0123456789abcdef' }],
      wechat: { apiBase: 'sandbox', timeout: '60s' },
      store: 'memory:',
      upstreams: { app: { targets: [{ url: backend.url }] } },
      routes: [{ path: '/', upstream: 'app', auth: 'required' }]
    })
    await gateway.gateway.reload({ ...gateway.config, routes: config.routes })
    client.send(GET + request('POST', '/a', 'Transfer-Encoding: chunked\r\n', '0\r\n\r\n'))
    t.equal((await client.response()).status, 401, lane)
    t.equal((await client.response()).status, 401, lane)
    for (const socket of sockets) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    t.equal((await running.response()).status, 200, lane)
    sockets.clear()
  }
})

test('a drain ends each connection with its running or next response', async (t) => {
  const { lanes, sockets } = await startHanging(t)
  for (const [lane, { gateway }] of Object.entries(lanes)) {
    const idle = await openClient(t, gateway.port)
    const running = await openClient(t, gateway.port)
    idle.send(GET)
    t.equal((await idle.response()).status, 200, lane)
    running.send(HANG + GET)
    await until(() => sockets.size > 0)
    const drained = gateway.gateway.drain()
    for (const socket of sockets) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    t.equal((await running.response()).header('connection'), 'close', lane)
    await running.closed
    t.equal(running.pending, '', lane)
    idle.send(GET)
    t.equal((await idle.response()).header('connection'), 'close', lane)
    await idle.closed
    sockets.clear()
    await drained
  }
})
