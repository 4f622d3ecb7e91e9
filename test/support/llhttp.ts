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

export interface LlhttpRequests {
  /** Begins a connection. */
  start(): void
  read(piece: Buffer): RequestReading
}

/** Reads the requests of one connection, piece by piece, then those of the next one. */
export function createLlhttpRequests(): LlhttpRequests {
  const names = new Map<number, string>()
  let reading = createReading()
  let fields: string[] = []
  let target = ''
  const parser = new HTTPParser()
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
    const head = { method: names.get(method) ?? String(method), url: target + (url ?? '') }
    reading.heads.push({ ...head, version: `${major}.${minor}`, fields, staysOpen })
    fields = []
    target = ''
    return isUpgrade ? TUNNEL : READ_BODY
  }
  parser[HTTPParser.kOnBody] = (chunk: Buffer) => {
    reading.body += chunk.toString('latin1')
  }
  parser[HTTPParser.kOnMessageComplete] = () => {
    reading.completed++
  }
  const requests: LlhttpRequests = {
    start() {
      reading = createReading()
      fields = []
      target = ''
      parser.initialize(HTTPParser.REQUEST, {}, 1024 * 1024, HTTPParser.kLenientNone)
    },
    read(piece) {
      if (!reading.isFault && parser.execute(piece) instanceof Error) reading.isFault = true
      return reading
    }
  }
  // llhttp gives a method as a number.
  for (const name of METHODS) {
    requests.start()
    const [head] = requests.read(Buffer.from(`${name} ${name === 'CONNECT' ? 'h:1' : '/'} HTTP/1.1\r\n\r\n`)).heads
    names.set(Number(head?.method), name)
  }
  return requests
}

function createReading(): RequestReading {
  return { heads: [], body: '', completed: 0, isFault: false }
}
