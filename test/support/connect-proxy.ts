/** An HTTP proxy on loopback that opens tunnels (CONNECT) and knows every name. */
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { listen, type Teardown } from './listen.ts'

export interface ConnectProxy {
  readonly port: number
  /** The requests for a tunnel, in order. */
  readonly asked: { readonly authority: string; readonly authorization: string | undefined }[]
}

/** @param targetPort Every tunnel leads to this port of 127.0.0.1.
 *  @param answer Status for a request; 200 opens the tunnel. */
export async function startConnectProxy(
  t: Teardown,
  targetPort: number,
  answer: (authorization: string | undefined) => number = () => 200
): Promise<ConnectProxy> {
  const asked: ConnectProxy['asked'] = []
  const server = createServer((_req, res) => res.writeHead(400).end())
  server.on('connect', (req, client: Socket) => {
    client.on('error', () => client.destroy())
    const authorization = req.headers['proxy-authorization']
    asked.push({ authority: req.url ?? '', authorization })
    const status = answer(authorization)
    if (status !== 200) return void client.end(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\n\r\nno`)
    const target = connect(targetPort, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      client.pipe(target).pipe(client)
    })
    target.on('error', () => client.destroy())
    client.on('close', () => target.destroy())
  })
  return { port: await listen(t, server), asked }
}
