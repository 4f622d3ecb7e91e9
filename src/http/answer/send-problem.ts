/** Sends error responses outside Fastify and closes connections without losing the last
 *  response. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type ApiError, type ErrorCode, PROBLEM_TYPE, toProblem } from '../../errors.ts'
import { STATUS_CODES } from '../../node-http.ts'

/** A body up to this many bytes is read to its end, so that the connection can serve the next
 *  request. */
const WORTH_READING = 64 * 1024
/** Lingering close: after its last response a connection is read for at most the first time,
 *  and for at most the second without a byte (milliseconds). Closing while the client sends resets
 *  the connection and loses the response. */
const LINGER_TOTAL = 30_000
const LINGER_IDLE = 5_000
const LINGER_CHECK = 250

/** The parts of a request that its error response depends on. */
interface ProblemRequest extends IncomingMessage {
  readonly record: { sent(bytes: number): void } | null
  /** Headers of the gateway's own answers, name and value in turns. */
  readonly answerHeaders: readonly string[] | null
  /** True while the client still waits for "100 Continue". */
  readonly isWaitingToContinue: boolean
}

export function sendProblem(req: ProblemRequest, res: ServerResponse, error: ApiError, requestId: string): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  answer(req, res, problemAnswer(error, requestId, req.answerHeaders), isWorthReading(restOf(req), error.code))
}

/** The answer to a request that ends with an error.
 *  @param answerHeaders See {@link ProblemRequest}. */
export function problemAnswer(error: ApiError, requestId: string, answerHeaders: readonly string[] | null): Answer {
  const { body, headers } = problem(error, requestId)
  headers.push('cache-control', 'no-store', 'x-request-id', requestId)
  if (answerHeaders !== null) headers.push(...answerHeaders)
  return { status: error.status, headers, body }
}

/** Answers with 204.
 *  @param headers Name and value in turns. */
export function sendNoContent(req: ProblemRequest, res: ServerResponse, headers: string[]): void {
  answer(req, res, { status: 204, headers, body: '' }, isWorthReading(restOf(req), null))
}

/** Sends the client to another address, with the same method (RFC 9110, section 15.4.9). A cache
 *  may keep it for an hour, so that a wrong one comes to an end. */
export function sendRedirect(req: ProblemRequest, res: ServerResponse, location: string, requestId: string): void {
  const headers = [
    'location',
    location,
    'content-length',
    '0',
    'cache-control',
    'max-age=3600',
    'x-request-id',
    requestId
  ]
  answer(req, res, { status: 308, headers, body: '' }, isWorthReading(restOf(req), null))
}

export interface Answer {
  readonly status: number
  /** Name and value in turns. */
  readonly headers: string[]
  readonly body: string
}

/** @param isRestRead Read the rest of the request, so that its connection can go on. */
function answer(
  req: ProblemRequest,
  res: ServerResponse,
  { status, headers, body }: Answer,
  isRestRead: boolean
): void {
  req.record?.sent(Buffer.byteLength(body))
  if (req.complete || isRestRead) {
    res.writeHead(status, headers)
    res.end(body)
    req.resume()
    return
  }
  headers.push('connection', 'close')
  res.writeHead(status, headers)
  lingerOnClose(req.socket)
  res.end(body)
}

/** Does not wait for the body of a slow request again, nor for one that the client broke off. A
 *  client that waits for "100 Continue" may send its body or not (RFC 9110, section 10.1.1): the
 *  next bytes could be either. */
export function isWorthReading({ hasEnded, length }: RestOfRequest, code: ErrorCode | null): boolean {
  return code !== 'request_timeout' && !hasEnded && length <= WORTH_READING
}

/** The part of a request that has not arrived. */
export interface RestOfRequest {
  /** The client sends it on demand, or not at all. */
  readonly hasEnded: boolean
  /** Bytes of the whole body; Infinity for an unknown length. */
  readonly length: number
}

function restOf(req: ProblemRequest): RestOfRequest {
  const isChunked = req.headers['transfer-encoding'] !== undefined
  return {
    hasEnded: req.isWaitingToContinue || req.socket.readableEnded,
    length: isChunked ? Number.POSITIVE_INFINITY : Number(req.headers['content-length'] ?? 0)
  }
}

/** Makes the end of the connection's last response a lingering close. Node would destroy the
 *  socket and reset a client that is still sending before it has read the response. */
export function lingerOnClose(socket: Socket): void {
  socket.destroySoon = () => {
    socket.end()
    closeSoon(socket)
  }
}

/** Writes an error as the last response on a connection without a ServerResponse. */
export function writeProblem(socket: Duplex, error: ApiError, requestId: string): void {
  if (socket.destroyed) return
  const { body, headers } = problem(error, requestId)
  socket.end(formatHead(error.status, [...headers, 'Connection', 'close']) + body)
  closeSoon(socket)
}

/** An error as the only response on a new connection. Does not wait for the client to close: the
 *  descriptor is needed. */
export function writeProblemAndClose(socket: Duplex, error: ApiError): void {
  const { body, headers } = problem(error, '')
  socket.on('error', () => socket.destroy())
  socket.end(formatHead(error.status, [...headers, 'Connection', 'close']) + body, () => socket.destroy())
}

/** Reads and drops what the client still sends. Destroys the connection when the client closes
 *  it or a limit expires. */
export function closeSoon(socket: Duplex & { readonly bytesRead?: number }): void {
  // The close event of a destroyed socket has passed and would never stop the timer.
  if (socket.destroyed) return
  const startedAt = performance.now()
  let quietSince = startedAt
  let bytesRead = socket.bytesRead
  const timer = setInterval(() => {
    const now = performance.now()
    if (socket.bytesRead !== bytesRead) quietSince = now
    bytesRead = socket.bytesRead
    if (now - quietSince > LINGER_IDLE || now - startedAt > LINGER_TOTAL) socket.destroy()
  }, LINGER_CHECK)
  socket.once('close', () => clearInterval(timer))
  socket.resume()
}

/** Resets a connection within a response that ends with it: after an orderly end, half a
 *  response would look complete. TLS marks the difference itself. */
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

function problem(error: ApiError, requestId: string): { body: string; headers: string[] } {
  const body = JSON.stringify(toProblem(error, requestId))
  const headers = ['content-type', PROBLEM_TYPE, 'content-length', String(Buffer.byteLength(body))]
  for (const [name, value] of Object.entries(error.headers)) headers.push(name, value)
  return { body, headers }
}
