/** Writes an error response outside Fastify. */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ApiError, PROBLEM_TYPE, toProblem } from '../../errors.ts'
import type { RequestContext } from '../record.ts'

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
  const body = JSON.stringify(toProblem(error, requestId))
  const headers = [
    'content-type',
    PROBLEM_TYPE,
    'content-length',
    String(Buffer.byteLength(body)),
    'cache-control',
    'no-store',
    'x-request-id',
    requestId
  ]
  for (const [name, value] of Object.entries(error.headers)) headers.push(name, value)
  // Whoever was too slow is not waited for again.
  if (req.complete || (error.code !== 'request_timeout' && isWorthReading(req, context))) {
    res.writeHead(error.status, headers)
    res.end(body)
    req.resume()
    return
  }
  headers.push('connection', 'close')
  res.writeHead(error.status, headers)
  res.write(body)
  endAfterRequest(req, res)
}

/** Ends a response that was written whole and announced as the connection's last, once the client has stopped sending. */
export function endAfterRequest(req: IncomingMessage, res: ServerResponse): void {
  const end = () => res.end()
  const timer = setTimeout(end, LINGER)
  res.once('close', () => clearTimeout(timer))
  req.once('end', end)
  req.resume()
}

/** An error as the last thing on a connection that has no response object (any more, or yet). */
export function writeProblem(socket: Duplex, error: ApiError, requestId: string): void {
  if (socket.destroyed) return
  const body = JSON.stringify(toProblem(error, requestId))
  const headers = [
    'Content-Type',
    PROBLEM_TYPE,
    'Content-Length',
    String(Buffer.byteLength(body)),
    'Connection',
    'close'
  ]
  for (const [name, value] of Object.entries(error.headers)) headers.push(name, value)
  socket.end(formatHead(error.status, headers) + body)
  closeSoon(socket)
}

/** The other side has this long to take what was written and to close; then the connection is gone. */
export function closeSoon(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), LINGER)
  socket.once('close', () => clearTimeout(timer))
  // Its end is seen only by reading.
  socket.resume()
}

/** Ends a connection in the middle of a response that ends with it: after an orderly end half would look like all of it. TLS
 *  tells the two apart by itself. */
export function breakOff(socket: Duplex): void {
  if ('encrypted' in socket) socket.destroy()
  else (socket as Socket).resetAndDestroy()
}

/** @param headers Name and value in turns. */
export function formatHead(status: number, headers: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
  for (let index = 0; index + 1 < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  return `${head}\r\n`
}

function isWorthReading(req: IncomingMessage, { headers }: RequestContext): boolean {
  // Headers that were refused were not read; then what Node makes of them has to do.
  const isChunked = headers === null ? req.headers['transfer-encoding'] !== undefined : headers.isChunked
  const length = headers === null ? Number(req.headers['content-length'] ?? 0) : (headers.contentLength ?? 0)
  return !isChunked && length <= WORTH_READING
}
