/** Reads a response with the gateway's own parser and records the events. */
import { ResponseFault, ResponseParser } from '../../src/upstream/connection/response-parser.ts'

export interface ResponseReading {
  /** Interim heads and the final one. */
  readonly heads: { readonly status: number; readonly fields: readonly string[] }[]
  /** One character per byte. */
  body: string
  end: 'complete' | 'fault' | 'open'
  isReusable: boolean
}

export interface OwnReading extends ResponseReading {
  /** Code of the fault, or the empty string. */
  code: string
  /** Offset after the last byte that was read. */
  offset: number
}

export interface ReadingOptions {
  readonly method?: string
  readonly isUpgrade?: boolean
  /** The connection stays open after the bytes. */
  readonly staysOpen?: boolean
  /** A complete response that the parser has read before. */
  readonly former?: string
}

function createReading(): OwnReading {
  return { heads: [], body: '', end: 'open', isReusable: false, code: '', offset: 0 }
}

/** @param pieces Overwritten after each read, as a socket does with its memory. */
export function readPieces(pieces: readonly Buffer[], options: ReadingOptions = {}): OwnReading {
  let reading = createReading()
  const parser = new ResponseParser({
    onInformational: (status, fields) => void reading.heads.push({ status, fields }),
    onHead: (status, fields) => void reading.heads.push({ status, fields }),
    onBody(chunk) {
      if (chunk.length === 0) throw new Error('an empty piece of a body')
      reading.body += chunk.toString('latin1')
    },
    onComplete(isReusable) {
      if (reading.end === 'complete') throw new Error('completed twice')
      reading.end = 'complete'
      reading.isReusable = isReusable
    }
  })
  if (options.former !== undefined) {
    parser.expect('GET', false)
    parser.read(Buffer.from(options.former, 'latin1'))
    if (!reading.isReusable) throw new Error('the former response ends its connection')
    reading = createReading()
  }
  parser.expect(options.method ?? 'GET', options.isUpgrade ?? false)
  try {
    for (const piece of pieces) {
      const offset = parser.read(piece)
      piece.fill(0x2a)
      reading.offset += offset
      if (offset < piece.length) return reading
    }
    if (options.staysOpen !== true) parser.end()
  } catch (error) {
    if (!(error instanceof ResponseFault)) throw error
    reading.end = 'fault'
    reading.code = error.code
  }
  return reading
}

/** @param cuts Offsets in rising order. */
export function readText(text: string, options: ReadingOptions = {}, cuts: readonly number[] = []): OwnReading {
  const bounds = [0, ...cuts, text.length]
  const pieces = bounds.slice(1).map((bound, index) => Buffer.from(text.slice(bounds[index], bound), 'latin1'))
  return readPieces(pieces, options)
}

/** The rule that a difference between both parsers breaks; null without one. */
export function differenceOf(own: ResponseReading, reference: ResponseReading): string | null {
  for (const [index, head] of own.heads.entries()) {
    const other = reference.heads[index]
    if (other === undefined) return `llhttp refuses head ${index}`
    if (other.status !== head.status) return `status ${head.status} is ${other.status} for llhttp`
    const fields = JSON.stringify(head.fields)
    if (JSON.stringify(other.fields) !== fields)
      return `fields ${fields} are ${JSON.stringify(other.fields)} for llhttp`
  }
  if (own.end !== 'complete') return reference.body.startsWith(own.body) ? null : 'llhttp reads another body'
  if (reference.end !== 'complete') return `llhttp ends in ${reference.end}`
  if (own.heads.length !== reference.heads.length) return 'llhttp reads more heads'
  if (own.body !== reference.body) return `body ${own.body.slice(0, 100)} is ${reference.body.slice(0, 100)} for llhttp`
  return own.isReusable && !reference.isReusable ? 'llhttp ends the connection' : null
}
