/** Reads messages with llhttp, the parser of Node, in its strict mode: the reference for the
 *  gateway's own parsers. Node exports it for its own modules only. */
import { METHODS } from 'node:http'
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
  readonly REQUEST: number
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

export interface RequestReading {
  /** Per head: its request. */
  readonly heads: { method: string; url: string; version: string; fields: string[]; staysOpen: boolean }[]
  /** Bytes of all bodies, Latin-1. */
  body: string
  /** Complete requests. */
  completed: number
  isFault: boolean
}

/** Names of the numbers that llhttp gives for methods. */
let methodNames: Map<number, string> | undefined

/** Reads the requests of one connection, piece by piece. */
export function createLlhttpRequests(): { read(piece: Buffer): RequestReading; free(): void } {
  methodNames ??= new Map(METHODS.map((name) => [numberOf(name), name]))
  const names = methodNames
  const reading: RequestReading = { heads: [], body: '', completed: 0, isFault: false }
  const parser = createRequestParser((method, head) => {
    reading.heads.push({ method: names.get(method) ?? '', ...head })
  })
  parser[HTTPParser.kOnBody] = (chunk: Buffer) => {
    reading.body += chunk.toString('latin1')
  }
  parser[HTTPParser.kOnMessageComplete] = () => {
    reading.completed++
  }
  return {
    read(piece) {
      if (!reading.isFault && parser.execute(piece) instanceof Error) reading.isFault = true
      return reading
    },
    free: () => parser.free()
  }
}

type Head = Omit<RequestReading['heads'][number], 'method'>

function createRequestParser(onHead: (method: number, head: Head) => void): Parser {
  const parser = new HTTPParser()
  parser.initialize(HTTPParser.REQUEST, {}, 1024 * 1024, HTTPParser.kLenientNone)
  let fields: string[] = []
  let target = ''
  parser[HTTPParser.kOnHeaders] = (headers: string[], url: string) => {
    fields.push(...headers)
    target += url
  }
  parser[HTTPParser.kOnHeadersComplete] = (
    ...[major, minor, headers, method, url, , , isUpgrade, staysOpen]: [
      number,
      number,
      string[] | undefined,
      number,
      string | undefined,
      unknown,
      unknown,
      boolean,
      boolean
    ]
  ) => {
    fields.push(...(headers ?? []))
    onHead(method, { url: target + (url ?? ''), version: `${major}.${minor}`, fields, staysOpen })
    fields = []
    target = ''
    return isUpgrade ? TUNNEL : READ_BODY
  }
  return parser
}

function numberOf(name: string): number {
  let number = -1
  const parser = createRequestParser((method) => {
    number = method
  })
  parser.execute(Buffer.from(`${name} / HTTP/1.1\r\n\r\n`))
  parser.free()
  return number
}
