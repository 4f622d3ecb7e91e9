/** What is said to a client whose bytes are no request, so that there is no response to say it with: after the answers that
 *  are still on their way, never between them or in the middle of one. */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ApiError } from '../../errors.ts'
import { responseUnderWay } from '../connections.ts'
import { contextOf } from '../record.ts'
import { closeSoon, sendProblem, writeProblem } from './send-problem.ts'

const SPOKEN = Symbol('last words are spoken')
type Carrier = Duplex & { [SPOKEN]?: true }

export interface LastWordsOptions {
  readonly newRequestId: () => string
  /** Told of each error that was said outside a response. */
  readonly onSaid: (error: ApiError) => void
}

/** Gives what answers with an error as soon as it is its turn, and then closes the connection. */
export function createLastWords({ newRequestId, onSaid }: LastWordsOptions): (socket: Duplex, error: ApiError) => void {
  function write(socket: Duplex, error: ApiError): void {
    if (!socket.writable) return
    writeProblem(socket, error, newRequestId())
    onSaid(error)
  }

  return (socket: Carrier, error) => {
    // What else arrives is not worth a reset, which would take the answer with it.
    if (socket[SPOKEN]) return
    socket[SPOKEN] = true
    const res = responseUnderWay(socket)
    if (res === null && !socket.writable) socket.destroy()
    else if (res === null) write(socket, error)
    // What is broken is the request after it: the answers before come first.
    else if (res.req.complete) res.once('close', () => write(socket, error))
    else refuseRest(res, socket, error)
  }
}

/** The body of a request broke off into something that is no HTTP. */
function refuseRest(res: ServerResponse, socket: Duplex, error: ApiError): void {
  const context = contextOf(res)
  context.underWay?.onClientClose()
  if (res.headersSent) {
    // Whatever was not written by now is missed by the client (RFC 9112, section 8).
    socket.end()
    closeSoon(socket)
    return
  }
  context.reason = error.code
  context.isGranted = false
  sendProblem(res.req, res, error, context)
}
