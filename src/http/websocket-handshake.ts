/** Recognises a WebSocket handshake (RFC 6455, section 4.1). */
import type { IncomingMessage } from 'node:http'

/** True for an HTTP/1.1 GET without a body that asks for websocket, alone or among other
 *  protocols (RFC 9110, section 7.8). A Content-Length of 0 means no body. */
export function isWebSocketHandshake({ method, headers, httpVersion }: IncomingMessage): boolean {
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    (headers.upgrade ?? '').split(',').some((protocol) => protocol.trim().toLowerCase() === 'websocket') &&
    headers['sec-websocket-key'] !== undefined &&
    headers['sec-websocket-version'] !== undefined &&
    (headers['content-length'] ?? '0') === '0' &&
    headers['transfer-encoding'] === undefined
  )
}
