/** A TCP proxy that can turn slow or silent, for tests of a hanging network. */
import { connect, createServer, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Target of new connections. */
  targetPort: number
  /** Milliseconds added to every answer. */
  delay: number
  /** Accepts connections and bytes, and forwards nothing. These bytes are lost. */
  isDeaf: boolean
  close(): Promise<void>
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  }
  const server = createServer((client) => {
    keep(client)
    const target = connect(proxy.targetPort, '127.0.0.1')
    keep(target)
    client.on('data', (chunk) => {
      if (!proxy.isDeaf) target.write(chunk)
    })
    target.on('data', (chunk) => {
      if (proxy.isDeaf) return
      if (proxy.delay === 0) client.write(chunk)
      else setTimeout(() => client.write(chunk), proxy.delay).unref()
    })
    client.on('close', () => target.destroy())
    target.on('close', () => {
      if (!proxy.isDeaf) client.destroy()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const proxy: TcpProxy = {
    port: address && typeof address === 'object' ? address.port : 0,
    targetPort,
    delay: 0,
    isDeaf: false,
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    }
  }
  return proxy
}
