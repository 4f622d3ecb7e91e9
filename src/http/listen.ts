/** Opening a port. */
import type { Server } from 'node:http'

/** Resolves with the port that was opened, which 0 leaves to the system. Rejects when it cannot be had.
 *  @param isShared Other processes of this gateway listen on the same port; the kernel deals connections out. */
export function listen(
  server: Server,
  host: string,
  port: number,
  isShared: boolean
): Promise<{ host: string; port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, exclusive: isShared, reusePort: isShared }, () => {
      server.off('error', reject)
      // A server that listens has nothing to fail with but a connection it could not accept.
      server.on('error', () => {})
      const address = server.address()
      resolve({ host, port: typeof address === 'object' && address ? address.port : port })
    })
  })
}
