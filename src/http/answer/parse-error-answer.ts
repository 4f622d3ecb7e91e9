/** Answers a parse error after the pending responses, then closes the connection. */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ApiError } from '../../errors.ts'
import type { ClientConnection } from '../connections.ts'
import type { GatewayRequest } from '../request.ts'
import { closeSoon, sendProblem, writeProblem } from './send-problem.ts'

export interface ParseErrorOptions {
  readonly newRequestId: () => string
  /** Called for each error that was written outside a response. */
  readonly onWritten: (error: ApiError) => void
}

export type AnswerParseError = (socket: Duplex, connection: ClientConnection, error: ApiError) => void

export function createParseErrorAnswer({ newRequestId, onWritten }: ParseErrorOptions): AnswerParseError {
  function write(socket: Duplex, error: ApiError): void {
    if (!socket.writable) return
    writeProblem(socket, error, newRequestId())
    onWritten(error)
  }

  return (socket, connection, error) => {
    // Further bytes must not reset the connection, which would lose the answer.
    if (connection.isOver) return
    connection.isOver = true
    const last = connection.waiting.at(-1) ?? connection.response ?? null
    if (last === null && (connection.isAnswered || !socket.writable)) socket.destroy()
    else if (last === null) write(socket, error)
    // The next request is broken: write the earlier answers first.
    else if (last.req.complete) last.once('close', () => write(socket, error))
    else refuseRest(last, socket, error)
  }
}

/** Invalid bytes follow within the body of a request. */
function refuseRest(res: ServerResponse, socket: Duplex, error: ApiError): void {
  const req = res.req as GatewayRequest
  req.underWay?.onClientClose()
  if (res.headersSent) {
    // The client misses the bytes that were not written yet (RFC 9112, section 8).
    socket.end()
    closeSoon(socket)
    return
  }
  req.record?.refused(error.code)
  sendProblem(req, res, error, req.record?.requestId ?? '')
}
