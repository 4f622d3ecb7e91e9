/** Compares an ordinary request as the fast lane recognised it with llhttp's reading. */
import type { OrdinaryHead } from '../../src/fast-lane/recogniser.ts'
import { createLlhttpRequests } from './llhttp.ts'

const requests = createLlhttpRequests()

/** Bytes of a body that are sent to llhttp. */
const MAX_BODY_BYTES = 1_000
const NEXT = Buffer.from('GET /next HTTP/1.1\r\n\r\n')

/** Another body and another request follow the head: they must not change its reading.
 *  @param bytes Hold the head from `from` to `head.bodyStart`.
 *  @returns The rule that a difference breaks; null without one. */
export function differenceFromLlhttp(head: OrdinaryHead, bytes: Buffer, from: number): string | null {
  requests.start()
  const { heads } = requests.read(bytes.subarray(from, head.bodyStart - 1))
  if (heads.length > 0) return 'llhttp ends the head earlier'
  const { isFault } = requests.read(bytes.subarray(head.bodyStart - 1, head.bodyStart))
  if (isFault) return 'llhttp refuses the head'
  const [other] = heads
  if (other === undefined) return 'llhttp does not end the head'
  const { method, url, httpVersion: version, rawHeaders: fields, isLast } = head
  const own = JSON.stringify({ method, url, version, fields, staysOpen: !isLast })
  const reference = JSON.stringify(other)
  return own === reference ? differenceAfter(head) : `${own} is ${reference} for llhttp`
}

function differenceAfter(head: OrdinaryHead): string | null {
  const { contentLength, isLast } = head
  if (contentLength > MAX_BODY_BYTES) return null
  const body = '\r'.repeat(contentLength)
  if (contentLength > 0) {
    if (requests.read(Buffer.from(body.slice(1))).completed > 0) return 'llhttp ends the body earlier'
    requests.read(Buffer.from('\r'))
  }
  const reading = requests.read(Buffer.alloc(0))
  if (reading.completed !== 1 || reading.isFault) return 'llhttp does not end the body'
  if (reading.body !== body) return 'llhttp reads another body'
  const { heads, isFault } = requests.read(NEXT)
  // llhttp refuses bytes after the last request.
  if (isLast ? heads.length > 1 : isFault || heads[1]?.url !== '/next') return 'llhttp reads another next request'
  return null
}
