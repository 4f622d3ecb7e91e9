/** Bytes against a whole gateway: no 5xx, no end of the process, no protected path without a
 *  token, no identity of another user. */
import { connect } from 'node:net'
import fc from 'fast-check'
import { catalogue } from '../../src/errors.ts'
import { buildTestGateway } from '../support/gateway.ts'
import { type Seen, startUpstream } from '../support/upstream.ts'
import { apply, type Edit, edits, type Fuzzer, type Scope } from './fuzzer.ts'

export interface WireInput {
  /** Index of the valid request. */
  readonly base: number
  readonly edits: readonly Edit[]
  /** Place where the bytes are cut into two writes; 0 to 1. */
  readonly cut: number
}

/** TOKEN is a real access token; it is replaced late, so that edits can be written down. */
const TOKEN = '%TOKEN%'
/** Distinguishes this input's requests from those of an earlier one that are still on their way. */
const RUN = '%RUN%'
const REQUESTS = [
  `GET /admin/x HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\n\r\n`,
  `GET /admin/x HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`,
  `GET /x?y=1 HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nX-A: b\r\nConnection: keep-alive\r\n\r\n`,
  `POST /x HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}`,
  `POST /admin HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nAuthorization: Bearer ${TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
  `POST /auth/login HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n{"code":"sandbox-alice"}`,
  `POST /auth/refresh HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nContent-Type: application/json\r\nContent-Length: 23\r\n\r\n{"refresh_token":"wxr"}`,
  `GET /auth/session HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`,
  `POST /auth/open-data HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 41\r\n\r\n{"encryptedData":"AAAAAAAA","iv":"AAAAA"}`,
  `GET /maybe HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nX-OpenId: oMallory0001\r\n\r\n`,
  `GET /admin HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  `GET /x HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\n\r\nGET /admin HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\n\r\n`,
  `OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n`,
  `HEAD /x HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\nContent-Length: 3\r\n\r\nabc`,
  `GET /livez HTTP/1.1\r\nHost: t\r\nX-Run: ${RUN}\r\n\r\n`
]
const SCRAPS = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  '/',
  '.',
  '..',
  '%2e',
  '%2f',
  '%00',
  '\\',
  ';',
  '#',
  '?',
  '*',
  '\xff',
  'é',
  '张',
  'admin',
  'ADMIN',
  '{',
  '}',
  '"',
  '[',
  'null',
  '1e999',
  '"__proto__":{},',
  'GET ',
  'TRACE ',
  'CONNECT ',
  'QUERY ',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/0.9',
  'Host: u\r\n',
  'X-OpenId: oMallory0001\r\n',
  'x_openid: oMallory0001\r\n',
  'X.User.Id: oMallory0001\r\n',
  'X-WX-OPENID: oMallory0001\r\n',
  'Connection: close\r\n',
  'Connection: x-openid, authorization\r\n',
  'Content-Length: 0\r\n',
  'Content-Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding: identity\r\n',
  'Expect: 100-continue\r\n',
  'Upgrade: h2c\r\n',
  'Trailer: X-OpenId\r\n',
  'X-Original-URL: /admin\r\n',
  `Authorization: Bearer ${TOKEN}\r\n`,
  'Authorization: Bearer x\r\n',
  '0\r\n\r\n',
  'ffffffffffffffff\r\n',
  'GET /admin HTTP/1.1\r\nHost: t\r\n\r\n',
  'a'.repeat(9_000),
  'X-Pad: a\r\n'.repeat(1_100)
]

const inputs: fc.Arbitrary<WireInput> = fc.record({
  base: fc.nat(REQUESTS.length - 1),
  edits: edits(SCRAPS, 4),
  cut: fc.oneof(
    { weight: 5, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.double({ min: 0, max: 1, noNaN: true }) }
  )
})

/** Milliseconds until a connection without an answer or a close is given up. */
const PATIENCE = 4_000

export async function createWireFuzzer(scope: Scope): Promise<Fuzzer<WireInput>> {
  const upstream = await startUpstream(scope)
  const gateway = await buildTestGateway(scope, upstream.url, {
    config: {
      routes: [
        { path: '/admin', upstream: 'app', auth: 'required' },
        { path: '/maybe', upstream: 'app', auth: 'optional' },
        { path: '/', upstream: 'app', auth: 'public' }
      ]
    }
  })
  const { access_token: token } = await gateway.login('fuzz')
  const { openId } = gateway.sandbox.state.people.person(gateway.config.apps[0]?.appId ?? '', 'fuzz')
  let run = 0

  return {
    name: 'wire',
    inputs,
    async check({ base, edits: list, cut }) {
      const text = apply(REQUESTS[base % REQUESTS.length] ?? '', list)
      // Bytes beyond latin-1 are sent as UTF-8.
      const sent = Buffer.from(
        text.replaceAll(TOKEN, token).replaceAll(RUN, String(++run)),
        /[^\0-\xff]/.test(text) ? 'utf8' : 'latin1'
      )
      const at = Math.floor(cut * sent.length)
      upstream.seen.length = 0
      const { text: received, isClosed } = await send(gateway.port, sent, at)
      ;(gateway.lines as string[]).length = 0
      for (const answer of received.split(/(?=HTTP\/1\.1 \d{3} )/)) {
        const fault = faultOfAnswer(answer)
        if (fault !== null) return fault
      }
      if (!isClosed) return 'the connection was neither answered nor closed'
      const hadToken = sent.includes(token)
      const fault = upstream.seen.map((seen) => faultOf(seen, { openId, run, hadToken })).find((text) => text !== null)
      if (fault) return fault
      if (run % 200 === 0) {
        const alive = await gateway.call('/admin', { token })
        await alive.arrayBuffer()
        if (alive.status !== 200) return `the next valid request was answered ${alive.status}`
      }
      return null
    }
  }
}

/** Sends everything and then the end, so that the server closes an open connection. */
function send(port: number, bytes: Buffer, cut: number): Promise<{ text: string; isClosed: boolean }> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    let text = ''
    const finish = (isClosed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text, isClosed })
    }
    const timer = setTimeout(() => finish(false), PATIENCE)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    for (const event of ['end', 'error', 'close']) socket.on(event, () => finish(true))
    if (cut === 0) socket.end(bytes)
    else socket.write(bytes.subarray(0, cut), () => setTimeout(() => socket.end(bytes.subarray(cut)), 3))
  })
}

/** @param answer From its status line to the next one; the empty string when there was none. */
function faultOfAnswer(answer: string): string | null {
  if (answer === '') return null
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1] ?? 0)
  if (status >= 500 || status < 100 || status === 101) return `answered ${answer.slice(0, 200)}`
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  if (status < 400 || status === 417 || body === '') return null
  const code = /"code":"([a-z_]+)"/.exec(body)?.[1] ?? ''
  const isProblem = /^content-type: application\/problem\+json/im.test(head)
  return isProblem && Object.hasOwn(catalogue, code) ? null : `answered ${answer.slice(0, 200)}`
}

interface Expectation {
  readonly openId: string
  readonly run: number
  readonly hadToken: boolean
}

function faultOf({ url, rawHeaders, headers }: Seen, { openId, run, hadToken }: Expectation): string | null {
  const from = headers['x-run']
  if (from !== undefined && from !== String(run)) return null
  // Without its number the request may belong to another input, which may have had a token.
  const mayBeNamed = hadToken || from === undefined
  const identity: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const folded = (rawHeaders[index] ?? '').toLowerCase().replace(/[^a-z0-9]/g, '-')
    if (folded === 'x-openid') identity.push(rawHeaders[index + 1] ?? '')
    if (/^(?:x-wx-|authorization|x-original-)/.test(folded)) return `the upstream received ${rawHeaders[index]}`
  }
  if (rawHeaders.some((text) => text.includes('oMallory0001')))
    return 'the upstream received a name that the client invented'
  const isProtected = /^\/admin(?:[/?]|$)/.test(url)
  if (identity.length > (mayBeNamed ? 1 : 0)) return `the upstream received ${identity.length} identities`
  if (identity.length === 1 && identity[0] !== openId) return 'the upstream received another identity'
  if (isProtected && identity.length === 0) return `${url} was served without an identity`
  return /\/\/|\/\.{1,2}(?:[/?]|$)/.test(url.split('?')[0] ?? '') ? `the upstream received ${url}` : null
}
