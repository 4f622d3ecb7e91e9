/** A business service made of bytes: it can answer as no HTTP library would. */
import { createServer, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { listen, type Teardown } from './listen.ts'

export interface RawUpstream {
  readonly url: string
  readonly port: number
  /** Heads of the requests, in the order of their arrival. */
  readonly heads: readonly string[]
  /** Connections open now, and accepted ever. */
  readonly open: number
  readonly accepted: number
}

/** @param answer Called with each request head (bodies of requests are not understood); `count`
 *  starts at 1. */
export async function startRawUpstream(
  t: Teardown,
  answer: (socket: Socket, head: string, count: number) => void,
  tls?: TlsOptions
): Promise<RawUpstream> {
  const heads: string[] = []
  const sockets = new Set<Socket>()
  let accepted = 0
  const onConnection = (socket: Socket) => {
    accepted++
    sockets.add(socket)
    // A test's bytes must be on the wire at once.
    socket.setNoDelay(true)
    let received = ''
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk: Buffer) => {
      received += chunk.toString('latin1')
      for (let end = received.indexOf('\r\n\r\n'); end >= 0; end = received.indexOf('\r\n\r\n')) {
        const head = received.slice(0, end)
        received = received.slice(end + 4)
        if (!/^[A-Z]+ \S+ HTTP\/1\.1\r\n/.test(head)) continue
        heads.push(head)
        answer(socket, head, heads.length)
      }
    })
  }
  const server = tls ? createTlsServer(tls, onConnection) : createServer(onConnection)
  // A client may break off the handshake as part of the test.
  server.on('tlsClientError', () => {})
  const port = await listen(t, server)
  return {
    url: `http${tls ? 's' : ''}://127.0.0.1:${port}`,
    port,
    heads,
    get open() {
      return sockets.size
    },
    get accepted() {
      return accepted
    }
  }
}

/** A whole 200 with this body. */
export function ok(body: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body, 'latin1')}\r\n\r\n${body}`
}
