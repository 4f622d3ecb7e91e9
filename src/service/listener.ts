/** The socket side of the service listener. */
import { createServer } from 'node:http'
import { listen } from '../http/listen.ts'
import type { ServiceStage } from './service.ts'

/** Milliseconds to the last byte of a request; uploads for WeChat pass through here. */
const REQUEST_TIMEOUT = 120_000

export interface ServiceListener {
  listen(host: string, port: number, isShared: boolean): Promise<{ host: string; port: number }>
  /** From the next request on. */
  serve(stage: ServiceStage): void
  close(): Promise<void>
}

export function createServiceListener(first: ServiceStage): ServiceListener {
  let stage = first
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT, requireHostHeader: false }, (req, res) =>
    stage.handler(req, res)
  )
  server.maxHeadersCount = 0
  server.on('clientError', (_error, socket) => socket.destroy())
  return {
    listen: (host, port, isShared) => listen(server, host, port, isShared),
    serve(next) {
      stage = next
    },
    close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      return closed
    }
  }
}
