/** Reads a response with llhttp, the parser of Node, in its strict mode: the reference for the
 *  gateway's own parser. Node exports it for its own modules only. */
import type { ResponseReading } from './response-reading.ts'

type Callback = (...args: never[]) => unknown

interface Parser {
  initialize(type: number, resource: object, maxHeaderSize: number, leniency: number): void
  execute(bytes: Buffer): number | Error
  finish(): Error | undefined
  free(): void
  [callback: number]: Callback
}

interface ParserClass {
  new (): Parser
  readonly RESPONSE: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
  readonly kLenientNone: number
}

const { HTTPParser } = process.getBuiltinModule('_http_common') as unknown as { readonly HTTPParser: ParserClass }

/** Returns of kOnHeadersComplete. */
const READ_BODY = 0
const NO_BODY = 1
const TUNNEL = 2

/** @param isUpgrade 101 is a final status. */
export function readWithLlhttp(bytes: Buffer, method: string, isUpgrade: boolean): ResponseReading {
  const reading: ResponseReading = { heads: [], body: '', end: 'open', isReusable: false }
  const parser = new HTTPParser()
  parser.initialize(HTTPParser.RESPONSE, {}, 1024 * 1024, HTTPParser.kLenientNone)
  let fields: string[] = []
  let isFinal = false
  let isOver = false
  const onHeaders = (headers: string[]) => void fields.push(...headers)
  const onHeadersComplete = (
    ...[, , headers, , , status, , , isReusable]: [
      number,
      number,
      string[] | undefined,
      unknown,
      unknown,
      number,
      string,
      boolean,
      boolean
    ]
  ) => {
    if (isOver) return NO_BODY
    reading.heads.push({ status, fields: [...fields, ...(headers ?? [])] })
    fields = []
    isFinal = status >= 200 || (status === 101 && isUpgrade)
    reading.isReusable = isReusable
    if (status === 101) return TUNNEL
    return status < 200 || method === 'HEAD' ? NO_BODY : READ_BODY
  }
  const onBody = (chunk: Buffer) => {
    if (!isOver) reading.body += chunk.toString('latin1')
  }
  const onMessageComplete = () => {
    if (!isFinal || isOver) return
    isOver = true
    reading.end = 'complete'
  }
  parser[HTTPParser.kOnHeaders] = onHeaders
  parser[HTTPParser.kOnHeadersComplete] = onHeadersComplete
  parser[HTTPParser.kOnBody] = onBody
  parser[HTTPParser.kOnMessageComplete] = onMessageComplete
  const result = parser.execute(bytes)
  const fault = result instanceof Error ? result : parser.finish()
  if (fault !== undefined && !isOver) reading.end = 'fault'
  parser.free()
  return reading
}
