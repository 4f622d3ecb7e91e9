/** Bodies and answers of WeChat's requests, for the test `wx`. */
import { type Agent, request } from 'node:http'
import type { WxRequestOptions, WxUploadOptions } from '../../miniprogram/miniprogram_dist/index.d.ts'

export interface HttpAnswer {
  readonly statusCode: number
  readonly header: Record<string, string>
  readonly body: Buffer
}

export interface HttpSend {
  readonly agent: Agent
  readonly url: string
  readonly method: string
  readonly header: Readonly<Record<string, string>>
  readonly body: Buffer | null
  readonly signal: AbortSignal
  /** Called with each part of the answer when it arrives. */
  readonly onHead?: (statusCode: number, header: Record<string, string>) => void
  readonly onChunk?: (chunk: Buffer) => void
}

/** Rejects when the connection fails or ends early. */
export function sendHttp({ agent, url, method, header, body, signal, onHead, onChunk }: HttpSend): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { ...header, ...(body ? { 'content-length': String(body.length) } : {}) }
    const outgoing = request(url, { agent, method, headers, signal }, (response) => {
      const chunks: Buffer[] = []
      const received: Record<string, string> = {}
      for (let index = 0; index + 1 < response.rawHeaders.length; index += 2) {
        received[response.rawHeaders[index] ?? ''] = response.rawHeaders[index + 1] ?? ''
      }
      const statusCode = response.statusCode ?? 0
      onHead?.(statusCode, received)
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        onChunk?.(chunk)
      })
      response.on('error', reject)
      response.on('end', () => resolve({ statusCode, header: received, body: Buffer.concat(chunks) }))
    })
    outgoing.on('error', (error: NodeJS.ErrnoException) => reject(new Error(`net::ERR_CONNECTION (${error.code})`)))
    outgoing.end(body ?? undefined)
  })
}

/** Follows redirects with the same headers, as the base library does. */
export async function follow(
  first: string,
  isManual: boolean,
  send: (url: string, isFirst: boolean) => Promise<HttpAnswer>
): Promise<HttpAnswer> {
  let url = first
  for (let hop = 0; ; hop++) {
    const answer = await send(url, hop === 0)
    const location = Object.entries(answer.header).find(([name]) => name.toLowerCase() === 'location')?.[1]
    if (isManual || hop >= 5 || location === undefined || answer.statusCode < 300 || answer.statusCode > 399) {
      return answer
    }
    url = new URL(location, url).href
  }
}

/** Puts `data` of a GET into the query, and of other methods into the body in the form that
 *  content-type names. */
export function encodeRequest(method: string, { url, data }: WxRequestOptions, header: Record<string, string>) {
  const given = Object.entries(header).find(([name]) => name.toLowerCase() === 'content-type')?.[1]
  const type = given === undefined ? 'application/json' : null
  if (data === undefined) return { url, body: null, type: method === 'GET' ? null : type }
  const isObject = typeof data === 'object' && Object.prototype.toString.call(data) !== '[object ArrayBuffer]'
  if (method === 'GET' && isObject) {
    const query = toQuery(data)
    return { url: query === '' ? url : url + (url.includes('?') ? '&' : '?') + query, body: null, type: null }
  }
  if (!isObject) return { url, body: Buffer.from(data as string), type }
  const isForm = given?.startsWith('application/x-www-form-urlencoded') === true
  return { url, body: Buffer.from(isForm ? toQuery(data) : JSON.stringify(data)), type }
}

function toQuery(data: object): string {
  return Object.entries(data)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
    .join('&')
}

export function encodeMultipart({ name, filePath, formData = {} }: WxUploadOptions, file: Buffer) {
  const boundary = '----WebKitFormBoundarywx0123456789abcdef'
  const parts = Object.entries(formData).map(
    ([field, value]) => `--${boundary}\r\nContent-Disposition: form-data; name="${field}"\r\n\r\n${String(value)}\r\n`
  )
  const fileName = filePath.split('/').pop()
  parts.push(
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="${fileName}"\r\n` +
      'Content-Type: application/octet-stream\r\n\r\n'
  )
  const body = Buffer.concat([Buffer.from(parts.join('')), file, Buffer.from(`\r\n--${boundary}--\r\n`)])
  return { body, type: `multipart/form-data; boundary=${boundary}` }
}

/** Returns the body in the form that `dataType` and `responseType` name. */
export function decode(body: Buffer, dataType: string, responseType: string): unknown {
  if (responseType === 'arraybuffer') return toArrayBuffer(body)
  const text = body.toString('utf8')
  if (dataType !== 'json') return text
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

/** With enableChunked the body arrives in chunks only. */
export function isChunked(options: object): boolean {
  return (options as WxRequestOptions).enableChunked === true
}
