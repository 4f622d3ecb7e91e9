/** WebSocket services and clients that speak bytes rather than frames: what passes is opaque to the
 *  gateway. */
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Test } from 'tap'
import type { TestGateway } from './gateway.ts'
import { listen } from './listen.ts'
import { get, openClient, type RawClient } from './raw-client.ts'

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
export const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n'

export interface SocketService {
  readonly url: string
  readonly seen: IncomingMessage[]
  readonly sockets: Duplex[]
}

/** @param serve Runs once a connection is open; by default every byte comes back. */
export async function startSocketService(
  t: Test,
  serve?: (socket: Duplex, req: IncomingMessage) => void
): Promise<SocketService> {
  const seen: IncomingMessage[] = []
  const sockets: Duplex[] = []
  const server = createServer((_req, res) => res.end('plain'))
  server.on('upgrade', (req, socket, head) => {
    seen.push(req)
    sockets.push(socket)
    socket.on('error', () => {})
    const protocol = req.headers['sec-websocket-protocol']?.split(',')[0]
    socket.write(`${SWITCHING}${protocol ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : ''}\r\n`)
    if (serve) serve(socket, req)
    else socket.pipe(socket)
    if (head.length > 0) socket.unshift(head)
  })
  return { url: `http://127.0.0.1:${await listen(t, server)}`, seen, sockets }
}

/** No timeout ends a connection within a test. */
export const withoutTimeouts = (url: string) => ({
  config: { upstreams: { app: { targets: [{ url }], timeouts: { response: '10m', idle: '10m' } } } }
})

export function handshake(path: string, token?: string, more = ''): string {
  return get(
    path,
    token,
    `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${more}`
  )
}

export async function join(t: Test, gateway: TestGateway, path: string, token?: string, more = ''): Promise<RawClient> {
  const client = await openClient(t, gateway.port)
  client.send(handshake(path, token, more))
  const head = await client.head()
  if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(head)
  return client
}
