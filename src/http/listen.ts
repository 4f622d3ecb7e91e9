/** Opens a port. */
import type { Server } from 'node:http'

export interface Address {
  readonly host: string
  readonly port: number
}

/** Resolves with the opened port; port 0 lets the system choose one. Rejects when the port
 *  cannot be opened.
 *  @param isShared Other processes of this gateway listen on the same port; the kernel distributes
 *  connections. */
export function listen(server: Server, host: string, port: number, isShared: boolean): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, exclusive: isShared, reusePort: isShared }, () => {
      server.off('error', reject)
      // Later errors mean a connection that could not be accepted.
      server.on('error', () => {})
      const address = server.address()
      resolve({ host, port: typeof address === 'object' && address ? address.port : port })
    })
  })
}
