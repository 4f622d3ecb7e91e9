/** Writes the head of a request to an upstream (RFC 9112, section 3). */
import { countLines } from '../../http/headers/header-lines.ts'
import type { UpstreamRequest } from './messages.ts'

/** Methods whose request always has content (RFC 9110, section 8.6): an empty one is announced. */
const WITH_CONTENT = new Set(['POST', 'PUT', 'PATCH'])

/** One character for each byte. Throws for a head that would read as more lines than written.
 *  @param targetHost Host of a request that names no other. */
export function formatRequestHead(request: UpstreamRequest, targetHost: string, isUpgrade: boolean): string {
  const { method, path, host, headers, own } = request
  let head = `${method} ${path} HTTP/1.1\r\nHost: ${host ?? targetHost}\r\n`
  for (let index = 0; index + 1 < headers.length; index += 2) head += `${headers[index]}: ${headers[index + 1]}\r\n`
  head += own.text
  const checkedLength = head.length
  const lines = 2 + headers.length / 2 + own.count
  head += `${own.prepared}${framingOf(request)}${isUpgrade ? UPGRADE : KEEP_ALIVE}`
  if (countLines(head, checkedLength) !== lines) throw new Error('a request head holds a line end')
  return head
}

const KEEP_ALIVE = 'Connection: keep-alive\r\n\r\n'
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

function framingOf({ method, bodyLength }: UpstreamRequest): string {
  if (bodyLength < 0) return 'Transfer-Encoding: chunked\r\n'
  return bodyLength > 0 || WITH_CONTENT.has(method) ? `Content-Length: ${bodyLength}\r\n` : ''
}
