/** One HTTP/1 response at the start of a text. */

export interface RawResponse {
  /** 0 for a line that is not HTTP/1. */
  readonly status: number
  /** As received, with lower-case names; several of one name are joined by ", ". */
  readonly headers: Readonly<Record<string, string>>
  /** Latin-1. */
  readonly body: string
  /** A header; the empty string when there is none. */
  header(name: string): string
}

/** @param isBodiless It answers HEAD. @returns While it is not whole, the length of a text that may
 *  hold it. `length` of a whole one counts its bytes. */
export function readResponse(
  text: string,
  { isClosed, isBodiless }: { readonly isClosed: boolean; readonly isBodiless: boolean }
): (RawResponse & { readonly length: number }) | number {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd < 0) return text.length + 1
  const [line = '', ...lines] = text.slice(0, headEnd).split('\r\n')
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(line)?.[1] ?? 0)
  const headers: Record<string, string> = {}
  for (const field of lines) {
    const name = field.slice(0, field.indexOf(':')).toLowerCase()
    const value = field.slice(field.indexOf(':') + 1).trim()
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  const header = (name: string) => headers[name] ?? ''
  const start = headEnd + 4
  const whole = (body: string, length: number) => ({ status, headers, header, body, length })
  if (isBodiless || status < 200 || status === 204 || status === 304) return whole('', start)
  if (header('transfer-encoding').toLowerCase() === 'chunked') {
    const chunks = readChunks(text, start)
    return typeof chunks === 'number' ? chunks : whole(chunks.body, chunks.end)
  }
  const length = header('content-length')
  if (length === '') return isClosed ? whole(text.slice(start), text.length) : Number.POSITIVE_INFINITY
  const end = start + Number(length)
  return text.length < end ? end : whole(text.slice(start, end), end)
}

function readChunks(text: string, start: number): { body: string; end: number } | number {
  let body = ''
  let at = start
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return text.length + 1
    const size = Number.parseInt(text.slice(at, lineEnd), 16)
    const data = lineEnd + 2
    if (text.length < data + size + 2) return data + size + 2
    if (size === 0) return { body, end: data + 2 }
    body += text.slice(data, data + size)
    at = data + size + 2
  }
}
