/** Writes the head of a request to an upstream (RFC 9112, section 3). */
import type { UpstreamRequest } from './messages.ts'

/** Methods whose request always has content (RFC 9110, section 8.6): an empty one is announced. */
const WITH_CONTENT = new Set(['POST', 'PUT', 'PATCH'])

/** One character for each byte. Throws for a head that would read as more lines than written.
 *  @param targetHost Host of a request that names no other. */
export function formatRequestHead(request: UpstreamRequest, targetHost: string, isUpgrade: boolean): string {
  const { method, path, host, headers, bodyLength } = request
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${host ?? targetHost}\r\n`
  let lines = 3
  for (let index = 0; index + 1 < headers.length; index += 2) {
    head += `${headers[index]}: ${headers[index + 1]}\r\n`
    lines++
  }
  if (bodyLength > 0 || (bodyLength === 0 && WITH_CONTENT.has(method))) {
    head += `Content-Length: ${bodyLength}\r\n`
    lines++
  } else if (bodyLength < 0) {
    head += 'Transfer-Encoding: chunked\r\n'
    lines++
  }
  head += isUpgrade ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n' : 'Connection: keep-alive\r\n\r\n'
  if (countLines(head) !== lines + (isUpgrade ? 2 : 1)) throw new Error('a request head holds a line end')
  return head
}

function countLines(text: string): number {
  let lines = 0
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lines++
  return lines
}
