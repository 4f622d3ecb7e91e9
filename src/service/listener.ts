/** The socket side of the service listener. */
import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { LimitsConfig } from '../config/config.ts'
import { type ClientError, maxHeadSize, toClientError } from '../http/answer/parse-errors.ts'
import { writeProblem } from '../http/answer/send-problem.ts'
import { listen } from '../http/listen.ts'
import { createTraceIds } from '../http/trace-ids.ts'
import type { ServiceStage } from './service.ts'

/** Milliseconds to the last byte of a request; uploads for WeChat pass through here. */
const REQUEST_TIMEOUT = 120_000

export interface ServiceListener {
  listen(host: string, port: number, isShared: boolean): Promise<{ host: string; port: number }>
  /** From the next request on. */
  serve(stage: ServiceStage): void
  /** No new connections; waits for what is under way, at most `timeout` milliseconds, then closes the rest. */
  close(timeout: number): Promise<void>
}

export function createServiceListener(limits: LimitsConfig, first: ServiceStage): ServiceListener {
  let stage = first
  const newIds = createTraceIds()
  /** The last response that was begun on a connection and is not over. */
  const underWay = new WeakMap<Socket, ServerResponse>()
  const options = {
    maxHeaderSize: maxHeadSize(limits),
    headersTimeout: Math.min(limits.headersTimeout, REQUEST_TIMEOUT),
    requestTimeout: REQUEST_TIMEOUT,
    connectionsCheckingInterval: 1_000,
    requireHostHeader: false
  }
  const server = createServer(options, (req, res) => {
    const { socket } = req
    underWay.set(socket, res)
    res.once('close', () => {
      if (underWay.get(socket) === res) underWay.delete(socket)
    })
    stage.handler(req, res)
  })
  server.maxHeadersCount = 0
  server.on('clientError', (error: ClientError, socket: Socket) => {
    const problem = toClientError(error, limits.uri)
    // What else arrives is not worth a reset, which would take the last words with it.
    if (problem !== null && socket.writableEnded) return
    // Never in the middle of an answer, nor in the place of one.
    if (problem === null || underWay.has(socket)) socket.destroy()
    else writeProblem(socket, problem, newIds().slice(0, 32))
  })
  return {
    listen: (host, port, isShared) => listen(server, host, port, isShared),
    serve(next) {
      stage = next
    },
    async close(timeout) {
      let isClosed = false
      const closed = new Promise<void>((resolve) => server.close(() => resolve())).then(() => {
        isClosed = true
      })
      const deadline = performance.now() + timeout
      while (!isClosed && performance.now() < deadline) {
        server.closeIdleConnections()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      server.closeAllConnections()
      await closed
    }
  }
}
