/** Servers of a test: on a free port of 127.0.0.1 until the test ends. */
import { createServer, type RequestListener } from 'node:http'
import type { Server, Socket } from 'node:net'

/** The part of a test that servers and processes need. */
export interface Teardown {
  teardown(fn: () => unknown): void
}

/** Opens the server and gives its port. The teardown destroys the connections that are still
 *  open. */
export async function listen(t: Teardown, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
  )
  return portOf(server)
}

export function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port')
  return address.port
}

/** An HTTP server that gets requests with their bodies unread. @returns Its URL. */
export async function startServer(t: Teardown, handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  server.on('clientError', (_error, socket) => socket.destroy())
  return `http://127.0.0.1:${await listen(t, server)}`
}
