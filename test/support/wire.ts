/** The network between a phone and the gateway: records its traffic, and can lose it. */
import { createServer, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { listen, type Teardown } from './listen.ts'

export interface OnWire {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** `lose-request`: the gateway never receives it. `lose-answer`: it does, and the connection
 *  breaks before the answer. `hang`: it does not, and no answer comes. Otherwise the answer of a
 *  machine on the way. */
export type WireFault =
  | 'lose-request'
  | 'lose-answer'
  | 'hang'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }

export interface Wire {
  readonly url: string
  readonly requests: OnWire[]
  /** Number of requests for this path. */
  count(path: string): number
  /** Called for each request. */
  fault: (request: OnWire) => WireFault | null
}

export async function startWire(t: Teardown, target: string): Promise<Wire> {
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('error', () => {})
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const seen = record(incoming, body.toString('utf8'))
      const fault = wire.fault(seen)
      if (fault === 'hang') return
      if (fault === 'lose-request') {
        incoming.socket.destroy()
        return
      }
      if (fault !== null && typeof fault === 'object') {
        outgoing.writeHead(fault.status, fault.headers).end(fault.body)
        return
      }
      const onward = request(new URL(incoming.url ?? '/', target), {
        method: seen.method,
        headers: incoming.headers,
        agent: false
      })
      onward.on('error', () => incoming.socket.destroy())
      onward.on('response', (response) => {
        if (fault === 'lose-answer') {
          response.resume()
          response.on('end', () => incoming.socket.destroy())
          return
        }
        outgoing.writeHead(response.statusCode ?? 502, response.rawHeaders)
        response.pipe(outgoing)
      })
      onward.end(body)
    })
  })
  server.on('upgrade', (incoming, socket, head) => {
    record(incoming, '')
    const { hostname, port } = new URL(target)
    const onward = connect(Number(port), hostname, () => {
      let lines = `${incoming.method} ${incoming.url} HTTP/1.1\r\n`
      for (let index = 0; index + 1 < incoming.rawHeaders.length; index += 2) {
        lines += `${incoming.rawHeaders[index]}: ${incoming.rawHeaders[index + 1]}\r\n`
      }
      onward.write(`${lines}\r\n`)
      onward.write(head)
      onward.pipe(socket)
      socket.pipe(onward)
    })
    for (const [one, other] of [[onward, socket] as const, [socket, onward] as const]) {
      one.on('error', () => other.destroy())
      one.on('close', () => other.destroy())
    }
  })

  function record(incoming: IncomingMessage, body: string): OnWire {
    const seen = { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers, body }
    wire.requests.push(seen)
    return seen
  }

  const wire: Wire = {
    url: `http://127.0.0.1:${await listen(t, server)}`,
    requests: [],
    count: (path) => wire.requests.filter((seen) => seen.path === path).length,
    fault: () => null
  }
  return wire
}
