/** A WebSocket service (RFC 6455) that sends back every short text message, and `bye` closes. */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { listen, type Teardown } from './listen.ts'

export interface EchoSocket {
  readonly url: string
  /** Of each handshake. */
  readonly seen: IncomingMessage['headers'][]
}

export async function startEchoSocket(t: Teardown): Promise<EchoSocket> {
  const seen: IncomingMessage['headers'][] = []
  const server = createServer((_req, res) => res.writeHead(200).end('{}'))
  server.on('upgrade', (request, socket) => {
    seen.push(request.headers)
    const accept = createHash('sha1').update(
      `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`
    )
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept.digest('base64')}\r\n\r\n`
    )
    socket.on('error', () => socket.destroy())
    socket.on('data', (frame: Buffer) => answer(socket, frame))
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}`, seen }
}

const CLOSE = 0x88
const TEXT = 0x81

/** One masked frame of less than 126 bytes at a time is all that these tests send. */
function answer(socket: Duplex, frame: Buffer): void {
  const length = (frame[1] ?? 0) & 0x7f
  const mask = frame.subarray(2, 6)
  const payload = frame.subarray(6, 6 + length).map((byte, index) => byte ^ (mask[index % 4] ?? 0))
  const text = Buffer.from(payload).toString('utf8')
  if (frame[0] === CLOSE || text === 'bye') socket.end(Buffer.from([CLOSE, 2, 0x03, 0xe8]))
  else socket.write(Buffer.concat([Buffer.from([TEXT, payload.length]), payload]))
}
