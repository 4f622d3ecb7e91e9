/** Writes an error response outside Fastify. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type ApiError, PROBLEM_TYPE, toProblem } from '../errors.ts'
import type { RequestContext } from './request-context.ts'

/** A body up to this size is read to its end, so that the connection can serve the next request. */
const WORTH_READING = 64 * 1024
/** How long a client may go on sending what nobody reads before the connection is closed (milliseconds). Closing at once
 *  would reset the connection, and the client would never see why. */
const LINGER = 1_000

export function sendProblem(req: IncomingMessage, res: ServerResponse, error: ApiError, context: RequestContext): void {
  const { requestId } = context
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  const body = Buffer.from(JSON.stringify(toProblem(error, requestId)))
  const headers = [
    'content-type',
    PROBLEM_TYPE,
    'content-length',
    String(body.length),
    'cache-control',
    'no-store',
    'x-request-id',
    requestId
  ]
  for (const [name, value] of Object.entries(error.headers)) headers.push(name, value)
  if (req.complete || isWorthReading(req, context)) {
    res.writeHead(error.status, headers)
    res.end(body)
    req.resume()
    return
  }
  headers.push('connection', 'close')
  res.writeHead(error.status, headers)
  res.write(body)
  const end = () => res.end()
  const timer = setTimeout(end, LINGER)
  req.once('close', () => clearTimeout(timer))
  req.once('end', end)
  req.resume()
}

function isWorthReading(req: IncomingMessage, { headers }: RequestContext): boolean {
  // Headers that were refused were not read; then what Node makes of them has to do.
  const isChunked = headers === null ? req.headers['transfer-encoding'] !== undefined : headers.isChunked
  const length = headers === null ? Number(req.headers['content-length'] ?? 0) : (headers.contentLength ?? 0)
  return !isChunked && length <= WORTH_READING
}
