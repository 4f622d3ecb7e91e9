/** The upstream of every subject, and WeChat in the benchmark of calls to it: a minimal HTTP/1.1
 *  server, so that its share of the load core stays small. It answers every request with the same
 *  JSON or, at ECHO_PATH, with the received identity. */
import { createServer, type Socket } from 'node:net'

export const UPSTREAM_BODY = '{"orders":[{"id":1,"product_id":"tea-250","create_time":1790000000}]}'
export const ECHO_PATH = '/api/orders/echo'
/** Answered with 4 KB of JSON. */
export const LARGE_PATH = '/api/orders/large'
export const LARGE_BODY = JSON.stringify({ orders: UPSTREAM_BODY.repeat(60) })
  .slice(0, 4_094)
  .concat('"}')
const TOKEN_PATH = '/cgi-bin/stable_token'

const ANSWER = answer(UPSTREAM_BODY)
const LARGE = answer(LARGE_BODY)
/** WeChat's answer to a request for an access token. */
const TOKEN = answer('{"access_token":"token-of-the-benchmark","expires_in":7200}')
const HEAD_END = Buffer.from('\r\n\r\n')

function answer(body: string): Buffer {
  const head = `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  return Buffer.from(head + body)
}

export interface Upstream {
  readonly port: number
  close(): void
}

export async function startUpstream(): Promise<Upstream> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    let rest: Buffer | undefined
    /** Bytes of a body that are still to come. */
    let bodyLeft = 0
    const skipBody = (data: Buffer): Buffer => {
      const skipped = Math.min(bodyLeft, data.length)
      bodyLeft -= skipped
      return skipped === 0 ? data : data.subarray(skipped)
    }
    socket.on('data', (chunk: Buffer) => {
      let data = skipBody(rest === undefined ? chunk : Buffer.concat([rest, chunk]))
      for (let end = data.indexOf(HEAD_END); end !== -1; end = data.indexOf(HEAD_END)) {
        // The target, and some of the headers: the load core must not be the limit.
        const start = data.toString('latin1', 0, 64)
        if (start.includes(ECHO_PATH)) socket.write(echo(data.toString('latin1', 0, end)))
        else if (start.includes(LARGE_PATH)) socket.write(LARGE)
        else socket.write(start.includes(TOKEN_PATH) ? TOKEN : ANSWER)
        if (start.startsWith('POST ')) bodyLeft = lengthOf(data.toString('latin1', 0, end))
        data = skipBody(data.subarray(end + HEAD_END.length))
      }
      rest = data.length === 0 ? undefined : data
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}

function lengthOf(head: string): number {
  return Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
}

function echo(head: string): Buffer {
  const openId = /^x-openid: *([^\r\n]*)/im.exec(head)?.[1] ?? null
  return answer(JSON.stringify({ openid: openId, authorization: /^authorization:/im.test(head) }))
}
