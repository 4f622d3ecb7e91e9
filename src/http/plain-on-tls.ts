/** Answers plain HTTP on a TLS port with 400: Node closes such a connection silently. */
import type { Socket } from 'node:net'
import { ApiError } from '../errors.ts'
import { writeProblem } from './answer/send-problem.ts'

/** First byte of a TLS connection: a handshake record (RFC 8446, section 5.1). */
const HANDSHAKE = 0x16
const PLAIN = new ApiError('invalid_request', 'This port speaks TLS: use https.')

/** Reads the first byte of a connection before the TLS handshake starts.
 *  @param timeoutMs Time for the first byte. */
export function createPlainHttpAnswer(startTls: (socket: Socket) => void, timeoutMs: number): (socket: Socket) => void {
  return (socket) => {
    const timer = setTimeout(() => socket.destroy(), timeoutMs)
    const onError = () => socket.destroy()
    socket.once('close', () => clearTimeout(timer))
    socket.on('error', onError)
    socket.once('data', (chunk: Buffer) => {
      clearTimeout(timer)
      if (chunk[0] === HANDSHAKE) {
        socket.off('error', onError)
        socket.pause()
        socket.unshift(chunk)
        startTls(socket)
      } else if (/^[A-Z]{3,8} /.test(chunk.toString('latin1', 0, 9))) writeProblem(socket, PLAIN, '')
      else socket.destroy()
    })
  }
}
