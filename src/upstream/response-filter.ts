/** Reads a response before undici does. undici ends a connection at a 100 Continue that it did not ask for, and does not say
 *  which HTTP version a response has. */
import type { Socket } from 'node:net'

/** Bytes of a held head. A longer one is left to undici, which refuses it. */
const MAX_HELD_BYTES = 64 * 1024
/** `HTTP/1.1 100` */
const STATUS_END = 12
const HEAD_END = '\r\n\r\n'

/** RFC 9112, section 6.1: a client of HTTP/1.0 knows no chunks, and a server of HTTP/1.0 cannot have meant them. */
class ChunksOfHttp10 extends Error {
  readonly code = 'HTTP_1_0_CHUNKED'
}

/** Drops every 100 Continue before a response (RFC 9110, section 15.2.1), and destroys the connection at a chunked response
 *  of HTTP/1.0. Call it before undici takes the socket. */
export function filterResponses(socket: Socket): void {
  const read = socket.read.bind(socket)
  const write = socket.write.bind(socket)
  /** Bytes of a response whose first line, or interim head, is not complete. Null while bytes pass. */
  let held: Buffer | null = null

  // As undici's own errors have it: see isStale.
  socket.prependOnceListener('error', (error) => {
    if (!('socket' in error)) Object.assign(error, { socket: { bytesRead: socket.bytesRead } })
  })
  socket.write = (...args: unknown[]): boolean => {
    const [chunk] = args
    // undici writes a request head as a string that begins with the method; other strings frame chunks.
    if (typeof chunk === 'string' && !chunk.startsWith('\r')) held = EMPTY
    return (write as (...args: unknown[]) => boolean)(...args)
  }

  socket.read = (size?: number): Buffer | null => {
    for (let chunk: Buffer | null = read(size); chunk !== null; chunk = read(size)) {
      if (held === null) return chunk
      held = withoutContinue(held.length === 0 ? chunk : Buffer.concat([held, chunk]))
      if (held.length < STATUS_END || isIncomplete(held)) continue
      const response = held
      held = null
      if (isChunkedHttp10(response)) {
        socket.destroy(new ChunksOfHttp10('an HTTP/1.0 response is chunked'))
        return null
      }
      return response
    }
    return null
  }
}

const EMPTY = Buffer.alloc(0)

function isIncomplete(bytes: Buffer): boolean {
  return (isContinue(bytes) || isHttp10(bytes)) && bytes.length < MAX_HELD_BYTES && !bytes.includes(HEAD_END)
}

/** One that announces a body is left to undici, which refuses it. */
function withoutContinue(bytes: Buffer): Buffer {
  let rest = bytes
  while (isContinue(rest)) {
    const end = rest.indexOf(HEAD_END)
    if (end < 0 || /\r\n(?:content-length|transfer-encoding):/i.test(rest.toString('latin1', 0, end))) break
    rest = rest.subarray(end + HEAD_END.length)
  }
  return rest
}

/** By bytes, since every response comes by here. */
function isContinue(bytes: Buffer): boolean {
  return bytes[9] === 0x31 && bytes[10] === 0x30 && bytes[11] === 0x30 && isHttp1(bytes)
}

function isHttp1(bytes: Buffer): boolean {
  return bytes.length >= STATUS_END && bytes.toString('latin1', 0, 7) === 'HTTP/1.'
}

function isHttp10(bytes: Buffer): boolean {
  return bytes[7] === 0x30 && isHttp1(bytes)
}

function isChunkedHttp10(bytes: Buffer): boolean {
  if (!isHttp10(bytes)) return false
  const end = bytes.indexOf(HEAD_END)
  return /\r\ntransfer-encoding:/i.test(bytes.toString('latin1', 0, end < 0 ? bytes.length : end))
}
