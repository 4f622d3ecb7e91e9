/** Reads a response before undici does. undici closes a connection on a 100 Continue that it
 *  did not ask for, and does not report the HTTP version of a response. */
import type { Socket } from 'node:net'

/** Bytes of a held head. A longer one goes to undici, which refuses it. */
const MAX_HELD_BYTES = 64 * 1024
/** `HTTP/1.1 100` */
const STATUS_END = 12
const HEAD_END = '\r\n\r\n'
const EMPTY = Buffer.alloc(0)

/** RFC 9112, section 6.1: HTTP/1.0 has no transfer codings, so the framing of such a response
 *  is unknown. */
class CodedHttp10 extends Error {
  readonly code = 'HTTP_1_0_TRANSFER_ENCODING'
}

/** RFC 9112, section 2.3: the version tells how to read a message. undici reads any. */
class OtherVersion extends Error {
  readonly code = 'HTTP_VERSION'
}

/** Drops every 100 Continue before a response (RFC 9110, section 15.2.1), and destroys the
 *  connection on an HTTP/1.0 response with Transfer-Encoding. Call it before undici takes the
 *  socket. */
export function filterResponses(socket: Socket): void {
  const read = socket.read.bind(socket)
  const write = socket.write.bind(socket)
  /** Bytes of an incomplete head. Null while bytes pass. */
  let held: Buffer | null = null

  // Matches undici's own errors: see isStale.
  socket.prependOnceListener('error', (error) => {
    if (!('socket' in error)) Object.assign(error, { socket: { bytesRead: socket.bytesRead } })
  })
  socket.write = (...args: unknown[]): boolean => {
    const [chunk] = args
    // undici writes a request head as a string that starts with the method; other strings frame
    // chunks.
    if (typeof chunk === 'string' && !chunk.startsWith('\r')) held = EMPTY
    return (write as (...args: unknown[]) => boolean)(...args)
  }
  socket.read = (size?: number): Buffer | null => {
    for (let chunk: Buffer | null = read(size); chunk !== null; chunk = read(size)) {
      if (held === null) return chunk
      if (held.length === 0 && isOrdinary(chunk)) {
        held = null
        return chunk
      }
      const { passed, rest, isFinal } = split(held.length === 0 ? chunk : Buffer.concat([held, chunk]))
      held = isFinal ? null : rest
      const fault = isFinal ? faultOf(rest) : null
      if (fault !== null) {
        socket.destroy(fault)
        return null
      }
      if (isFinal) return passed.length === 0 ? rest : Buffer.concat([...passed, rest])
      if (passed.length > 0) return Buffer.concat(passed)
    }
    return null
  }
}

function faultOf(response: Buffer): Error | null {
  if (isCodedHttp10(response)) return new CodedHttp10('an HTTP/1.0 response has Transfer-Encoding')
  const isOther = response.toString('latin1', 0, 5) === 'HTTP/' && !isHttp1(response)
  return isOther ? new OtherVersion('a response is not in HTTP/1.1 or HTTP/1.0') : null
}

interface Split {
  /** Heads of interim responses that undici may see. */
  readonly passed: readonly Buffer[]
  /** Starts with the final response when `isFinal`, else with an incomplete head. */
  readonly rest: Buffer
  readonly isFinal: boolean
}

function split(bytes: Buffer): Split {
  const passed: Buffer[] = []
  let rest = bytes
  for (;;) {
    const isInterim = isInterimHead(rest)
    if (rest.length < STATUS_END) return { passed, rest, isFinal: false }
    // Most responses are final and HTTP/1.1.
    if (!isInterim && !isHttp10(rest)) return { passed, rest, isFinal: true }
    const end = rest.indexOf(HEAD_END)
    if (end < 0) return { passed, rest, isFinal: rest.length >= MAX_HELD_BYTES }
    if (!isInterim || (isContinue(rest) && announcesBody(rest, end))) return { passed, rest, isFinal: true }
    const next = end + HEAD_END.length
    if (!isContinue(rest)) passed.push(rest.subarray(0, next))
    rest = rest.subarray(next)
  }
}

/** A final response in HTTP/1.1, as most are. Compares bytes: every response passes here. */
function isOrdinary(bytes: Buffer): boolean {
  return bytes.length >= STATUS_END && bytes[5] === 0x31 && bytes[7] === 0x31 && bytes[9] !== 0x31
}

/** 1xx except 101. */
function isInterimHead(bytes: Buffer): boolean {
  return bytes[9] === 0x31 && !(bytes[10] === 0x30 && bytes[11] === 0x31) && isHttp1(bytes)
}

function isContinue(bytes: Buffer): boolean {
  return bytes[10] === 0x30 && bytes[11] === 0x30
}

function isHttp10(bytes: Buffer): boolean {
  return bytes[7] === 0x30 && isHttp1(bytes)
}

function isHttp1(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 7) === 'HTTP/1.'
}

/** Passed to undici, which refuses it. */
function announcesBody(bytes: Buffer, end: number): boolean {
  return /\r\n(?:content-length|transfer-encoding):/i.test(bytes.toString('latin1', 0, end))
}

function isCodedHttp10(bytes: Buffer): boolean {
  if (!isHttp10(bytes)) return false
  const end = bytes.indexOf(HEAD_END)
  return /\r\ntransfer-encoding:/i.test(bytes.toString('latin1', 0, end < 0 ? bytes.length : end))
}
