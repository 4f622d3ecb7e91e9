/** The upstream of every subject, and WeChat in the benchmark of calls to it: a minimal HTTP/1.1 server, so that its share of the load core
 *  stays small. It answers every request with the same JSON or, at ECHO_PATH, with the received
 *  identity. */
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
    socket.on('data', (chunk: Buffer) => {
      let data = rest === undefined ? chunk : Buffer.concat([rest, chunk])
      // A body counts as the start of the next head, which changes nothing.
      for (let end = data.indexOf(HEAD_END); end !== -1; end = data.indexOf(HEAD_END)) {
        // The target, and some of the headers: the load core must not be the limit.
        const start = data.toString('latin1', 0, 64)
        if (start.includes(ECHO_PATH)) socket.write(echo(data.toString('latin1', 0, end)))
        else if (start.includes(LARGE_PATH)) socket.write(LARGE)
        else socket.write(start.includes(TOKEN_PATH) ? TOKEN : ANSWER)
        data = data.subarray(end + HEAD_END.length)
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

function echo(head: string): Buffer {
  const openId = /^x-openid: *([^\r\n]*)/im.exec(head)?.[1] ?? null
  return answer(JSON.stringify({ openid: openId, authorization: /^authorization:/im.test(head) }))
}
