/** Ordinary requests and handed-over ones on one connection: each reaches the backend once, in
 *  order, with its own body, wherever the bytes are cut. */
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'tap'
import { readChunks } from '../../src/selftest/wire.ts'
import { createRandom, type Random } from '../fuzz/random.ts'
import { type Side, startLanes } from '../support/lanes.ts'
import type { Received } from '../support/recording-backend.ts'

interface Sent {
  readonly text: string
  readonly path: string
  readonly body: string
}

const CONNECTIONS = 50
const LAST: Sent = { text: 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', path: '/last', body: '' }
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

function createRequest(path: string, random: Random): Sent {
  const head = (method: string, target: string, lines = '') => `${method} ${target} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`
  const put = (body: string) => ({ text: head('PUT', path, `Content-Length: ${body.length}\r\n`) + body, path, body })
  const get = (target: string, lines = '') => ({ text: head('GET', target, lines), path: target, body: '' })
  const smuggled = SMUGGLED.repeat(1 + random(3))
  const chunked = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`
  switch (random(9)) {
    case 0:
      return put(smuggled)
    case 1:
      return put('ab')
    case 2:
    case 3:
      // Each part of the body differs.
      return put(Array.from({ length: random(25_000) }, (_, index) => String(index).padStart(8, '.')).join(''))
    case 4:
      return { text: head('POST', path, 'Transfer-Encoding: chunked\r\n') + chunked, path, body: smuggled }
    case 5:
      return get(path, 'Connection: keep-alive, x-a\r\n')
    case 6:
      return get(`${path}/answer-big`)
    case 7:
      return get(`${path}/answer-close`)
    default:
      return get(path)
  }
}

/** Sends the text in pieces, and reads until the gateway ends the connection. */
async function send({ gateway }: Side, text: string, random: Random): Promise<string> {
  const socket = connect({ port: gateway.port, host: '127.0.0.1', noDelay: true })
  let received = ''
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  const over = new Promise((resolve) => {
    for (const event of ['end', 'close']) socket.on(event, resolve)
  })
  const cuts = Array.from({ length: random(12) }, () => random(text.length)).sort((one, other) => one - other)
  for (const [index, cut] of [...cuts, text.length].entries()) {
    socket.write(text.slice(cuts[index - 1] ?? 0, cut), 'latin1')
    if (random(2) === 0) await delay(random(4))
  }
  await over
  socket.destroy()
  return received
}

const pathOf = ({ head }: Received) => head.split(' ', 2)[1]
const bodyOf = ({ head, body }: Received) => (head.startsWith('POST') && body !== '' ? readChunks(body, 0)?.body : body)

test('no byte of one request becomes another, whichever lane serves the requests of a connection', async (t) => {
  const { fast: side } = await startLanes(t)
  for (let seed = 1; seed <= CONNECTIONS; seed++) {
    const random = createRandom(seed)
    const requests = Array.from({ length: 1 + random(12) }, (_, index) => createRequest(`/${seed}-${index}`, random))
    requests.push(LAST)
    const from = side.backend.received.length
    const answer = await send(side, requests.map(({ text }) => text).join(''), random)
    const seen = side.backend.received.slice(from)
    const paths = seen.map(pathOf)
    t.same(
      paths,
      requests.map(({ path }) => path),
      `seed ${seed}`
    )
    const bodies = seen.map(bodyOf)
    t.ok(
      requests.every(({ body }, index) => body === bodies[index]),
      `bodies, seed ${seed}`
    )
    t.same(
      answer.match(/HTTP\/1\.1 \d{3} /g)?.filter((status) => status !== 'HTTP/1.1 200 '),
      []
    )
  }
})
