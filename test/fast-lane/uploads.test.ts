/** Bodies that go upstream out of buffers which are read again: no byte is lost or changed. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { type Test, test } from 'tap'
import { createReadBuffers } from '../../src/http/body/read-buffer.ts'
import { BufferedSocket, toBufferedSocket } from '../../src/http/buffered-socket.ts'
import { buildTestGateway } from '../support/gateway.ts'
import { openClient } from '../support/raw-client.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Reads slowly, and answers each POST with the hash of its body. */
async function startHashing(t: Test) {
  const server = createServer((socket) => {
    let head = Buffer.alloc(0)
    let hash = createHash('sha256')
    let left = 0
    const take = (chunk: Buffer): void => {
      if (left === 0) {
        head = Buffer.concat([head, chunk])
        const end = head.indexOf(HEAD_END)
        if (end < 0) return
        left = Number(/content-length: (\d+)/i.exec(head.toString('latin1', 0, end))?.[1])
        const rest = head.subarray(end + HEAD_END.length)
        head = Buffer.alloc(0)
        hash = createHash('sha256')
        take(rest)
        return
      }
      const part = chunk.subarray(0, left)
      hash.update(part)
      left -= part.length
      if (left > 0) return
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n${hash.digest('hex')}`)
      if (chunk.length > part.length) take(chunk.subarray(part.length))
    }
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      take(chunk)
      socket.pause()
      setImmediate(() => setImmediate(() => socket.resume()))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const post = (body: Buffer) =>
  Buffer.concat([Buffer.from(`POST /public/a HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`), body])

test('bodies of several connections reach a slow backend unchanged, and so do the requests behind them', async (t) => {
  const gateway = await buildTestGateway(t, await startHashing(t))
  const sizes = [3_000_000, 1, 200_000, 65_536, 1_500_000, 70_000]
  await Promise.all(
    Array.from({ length: 6 }, async (_, index) => {
      const client = await openClient(t, gateway.port)
      const bodies = sizes.map((size) => randomBytes(size + index))
      client.send(Buffer.concat(bodies.map(post)))
      for (const body of bodies) t.match(await client.response(), { status: 200, body: sha256(body) }, `${body.length}`)
    })
  )
})

test('an accepted socket reads into a shared buffer, and gives copies to a reader of streams', async (t) => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  t.teardown(() => client.destroy())
  const [accepted] = (await once(server, 'connection')) as [Socket]
  const buffers = createReadBuffers()
  const socket = toBufferedSocket(accepted, buffers)
  if (!(socket instanceof BufferedSocket)) throw new Error('this Node keeps its handle elsewhere')
  t.teardown(() => socket.destroy())
  t.equal(socket.remotePort, client.localPort)
  client.write('first')
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  t.equal(chunk.toString(), 'first')
  t.not(chunk.buffer, buffers.shared.buffer)

  const received = new Promise<string>((resolve) => {
    socket.receiver = {
      isHolding: false,
      isReading: false,
      onBytes(bytes, isOwn) {
        t.equal(bytes.buffer, buffers.shared.buffer)
        t.equal(isOwn, false)
        resolve(bytes.toString())
      }
    }
  })
  client.write('second')
  t.equal(await received, 'second')
  client.end()
  await once(socket, 'end')
  socket.end('bye')
  t.equal(String((await once(client, 'data'))[0]), 'bye')
  t.equal(toBufferedSocket(new Socket(), buffers), null, 'without a handle')
})
