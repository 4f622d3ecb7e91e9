/** Sends requests for routes with `channel: true`: seals each try, and opens the answer. */
import { fromText, isBytes, toText } from './bytes'
import { type Content, openMessage, sealMessage } from './channel-format'
import { createError, type WxgateError } from './errors'
import { countedMethod, isReading } from './method'
import { headerOf } from './problem'
import type { Send, SendOptions, Transport } from './transport'
import type { UserKeys } from './user-keys'
import type { Wx, WxHeaders, WxRequestOptions, WxRequestResult } from './wx'

const HEADER = 'Wxgate-Channel'
const FORM_TYPE = /^application\/x-www-form-urlencoded\b/i

export interface ChannelOptions {
  readonly transport: Transport
  readonly wx: Wx
  readonly keys: UserKeys
  /** Address of the gateway: the rest of an address is the target that it receives. */
  readonly base: string
  /** Empty for the mini-program's own. */
  readonly appId: string
  readonly userId: () => string
}

/** Passes everything on but requests with `isSealed`. */
export function withChannel({ transport, wx, keys, base, appId, userId }: ChannelOptions): Transport {
  /** The gateway's clock minus the phone's, in milliseconds. */
  let offset = 0

  async function seal(given: WxRequestOptions, isFresh: boolean) {
    const { key, version } = await keys.latest(isFresh)
    const nonce = await keys.random()
    const { url, content } = describe(given)
    const app = appId || (wx.getAccountInfoSync?.().miniProgram.appId ?? '')
    const place = [countedMethod(given), url.slice(base.length) || '/', app, userId()]
    const time = Date.now() + offset
    const sealed = sealMessage({ direction: 'request', key, version, time, nonce, place }, content)
    const { data: _data, header, ...rest } = given
    const options: WxRequestOptions = {
      ...rest,
      url,
      header: withHeaders(header, { [HEADER]: sealed.header, 'content-type': 'application/octet-stream' }),
      dataType: 'other',
      responseType: 'arraybuffer',
      enableChunked: false,
      ...(content ? { data: toBuffer(sealed.body) } : {})
    }
    return { options, key, nonce: sealed.header.split('.')[3] ?? '' }
  }

  async function sendSealed(given: WxRequestOptions, options: SendOptions) {
    for (let isFresh = false; ; isFresh = true) {
      const sealed = await seal(given, isFresh)
      const answer = await transport.send({ kind: 'request', options: sealed.options }, options)
      const result = answer.result as WxRequestResult
      const { problem } = answer
      if (!problem) return { result: open(result, given, sealed.key, sealed.nonce), problem }
      // The gateway refused before it forwarded anything: an old key, or a wrong clock.
      if (problem.code !== 'channel_invalid' || isFresh) return answer
      const now = Date.parse(headerOf(result.header, 'date') ?? '')
      if (now > 0) offset = now - Date.now()
    }
  }

  return {
    send: (what: Send, options) =>
      options.isSealed && what.kind === 'request' ? sendSealed(what.options, options) : transport.send(what, options)
  }
}

/** The address in its plain form, and the body as wx would send it. */
function describe({ url, data, header, method }: WxRequestOptions): { url: string; content: Content | null } {
  const [address = ''] = url.split('#')
  if (data === undefined) return { url: toPlainForm(address), content: null }
  if (isReading(method)) {
    const query = typeof data === 'string' ? data : isBytes(data) ? '' : toForm(data)
    const mark = address.indexOf('?') < 0 ? '?' : '&'
    return { url: toPlainForm(query === '' ? address : address + mark + query), content: null }
  }
  const type = headerOf(header, 'content-type') ?? 'application/json'
  return { url: toPlainForm(address), content: { type, body: toBytes(data, type) } }
}

function toBytes(data: string | object | ArrayBuffer, type: string): Uint8Array {
  if (isBytes(data)) return new Uint8Array(data)
  if (typeof data === 'string') return fromText(data)
  return fromText(FORM_TYPE.test(type) ? toForm(data) : JSON.stringify(data))
}

function toForm(data: object): string {
  const members = data as { [name: string]: unknown }
  const pairs = Object.keys(members).map((name) => {
    const value = members[name]
    const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
    return `${encodeURIComponent(name)}=${encodeURIComponent(text)}`
  })
  return pairs.join('&')
}

/** Escapes as in RFC 3986, section 6.2.2: the gateway computes the MAC over this form. */
function toPlainForm(url: string): string {
  return url
    .replace(/(?:[\ud800-\udbff][\udc00-\udfff]|[^\x21-\x7e])+/g, (text) => encodeURIComponent(text))
    .replace(/%[0-9a-f]{2}/gi, (escaped) => {
      const character = String.fromCharCode(parseInt(escaped.slice(1), 16))
      return /[\w.~-]/.test(character) ? character : escaped.toUpperCase()
    })
}

function open(result: WxRequestResult, asked: WxRequestOptions, key: Uint8Array, nonce: string): WxRequestResult {
  const { statusCode, header, data } = result
  const body = isBytes(data) ? new Uint8Array(data) : new Uint8Array(0)
  const sealed = { header: headerOf(header, HEADER.toLowerCase()) ?? '', body }
  const content = openMessage('response', key, [String(statusCode), nonce], sealed)
  if (content === false) throw notSealed(statusCode)
  const bytes = content ? content.body : new Uint8Array(0)
  const own = withHeaders(header, content?.type ? { 'content-type': content.type } : {})
  return { ...result, header: own, data: toData(bytes, asked) }
}

/** The data as wx gives it for these options. */
function toData(bytes: Uint8Array, { dataType = 'json', responseType }: WxRequestOptions): unknown {
  if (responseType === 'arraybuffer') return toBuffer(bytes)
  const text = toText(bytes)
  if (dataType !== 'json') return text
  try {
    return JSON.parse(text)
  } catch (_error) {
    return text
  }
}

/** A buffer of exactly these bytes. */
function toBuffer(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

/** Replaces headers in any spelling, and the type of the sealed body. */
function withHeaders(header: WxHeaders | undefined, own: WxHeaders): WxHeaders {
  const headers: WxHeaders = {}
  const isReplaced = (name: string) => name === HEADER.toLowerCase() || name === 'content-type'
  for (const name in header) if (!isReplaced(name.toLowerCase())) headers[name] = header[name] ?? ''
  for (const name in own) headers[name] = own[name] ?? ''
  return headers
}

function notSealed(status: number): WxgateError {
  return createError({ code: 'invalid_response', status, detail: "The answer is not sealed with the user's key." })
}
