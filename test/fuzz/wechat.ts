/** WeChat's answers: any answer gives a checked value or an error of the catalogue, in time. */

import { lookup } from 'node:dns'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import fc from 'fast-check'
import { systemClock } from '../../src/clock.ts'
import { ApiError } from '../../src/errors.ts'
import { createWeChat } from '../../src/platforms/wechat/client.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createTestLog, createTestSealer, SHOP } from '../support/wechat.ts'
import { apply, bytes, edits, type Fuzzer, type Scope } from './fuzzer.ts'

export interface WeChatInput {
  readonly call: 'login' | 'checkSession' | 'resetSession' | 'phoneNumber'
  /** Bytes of the answer, head and body; and the same for the access token, null for a valid
   *  one. */
  readonly answer: string
  readonly token: string | null
}

const KEY = 'c2Vzc2lvbi1rZXktMDEyMw=='
const ANSWERS = [
  `{"openid":"oAlice00001","session_key":"${KEY}","unionid":"uAlice00001"}`,
  `{"errcode":0,"errmsg":"ok","openid":"oAlice00001","session_key":"${KEY}"}`,
  '{"errcode":0,"errmsg":"ok"}',
  '{"errcode":-1,"errmsg":"system error rid: 5f-1a-2b"}',
  '{"errcode":40029,"errmsg":"invalid code"}',
  '{"errcode":40163,"errmsg":"code been used"}',
  '{"errcode":45011}',
  '{"errcode":87009}',
  '{"errcode":40001,"errmsg":"invalid credential"}',
  `{"errcode":0,"phone_info":{"phoneNumber":"13800000000","purePhoneNumber":"13800000000","countryCode":"86","watermark":{"appid":"${SHOP.appId}","timestamp":1}}}`,
  '<html>502</html>',
  ''
]
const TOKENS = [
  '{"access_token":"ACCESSTOKEN0123456789","expires_in":7200}',
  '{"errcode":40125}',
  '{"access_token":1,"expires_in":"x"}'
]
const SCRAPS = [
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  'null',
  '1e999',
  '-1',
  '0',
  '40029',
  '"40029"',
  '"errcode":0,',
  '"openid":"oMallory0001",',
  '"openid":null,',
  '"session_key":"",',
  '"unionid":1,',
  '"unionid":"a\\r\\nb",',
  '"__proto__":{"errcode":0},',
  '\ufeff',
  '\\ud800',
  '\0',
  '\xff',
  '张',
  ' '.repeat(100),
  'x'.repeat(70_000)
]
const HEADS = [
  'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: LENGTH\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: LENGTH\r\nConnection: close\r\n\r\n',
  'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n',
  'HTTP/1.0 200 OK\r\n\r\n',
  'HTTP/1.1 500 X\r\nContent-Length: LENGTH\r\n\r\n',
  'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: LENGTH\r\n\r\n',
  'HTTP/1.1 204 No Content\r\n\r\n',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'
]
const HEAD_SCRAPS = [
  '\r\n',
  '\n',
  '\0',
  ':',
  'HTTP/1.1 ',
  '100',
  '999',
  'Content-Length: 1\r\n',
  'Transfer-Encoding: chunked\r\n',
  ' ',
  '\xff'
]

const body = (bases: readonly string[]) =>
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.tuple(fc.constantFrom(...bases), edits(SCRAPS, 3)).map(([base, list]) => apply(base, list))
    },
    { weight: 1, arbitrary: fc.json({ maxDepth: 3 }) },
    { weight: 1, arbitrary: bytes(60) }
  )
const answer = (bases: readonly string[]) =>
  fc
    .tuple(
      fc.oneof(
        { weight: 5, arbitrary: fc.constantFrom(...HEADS.slice(0, 2)) },
        { weight: 2, arbitrary: fc.constantFrom(...HEADS) },
        {
          weight: 1,
          arbitrary: fc.tuple(fc.constantFrom(...HEADS), edits(HEAD_SCRAPS, 3)).map(([head, list]) => apply(head, list))
        }
      ),
      body(bases)
    )
    .map(([head, text]) => {
      const encoded = Buffer.from(text, 'utf8').toString('latin1')
      return head.replace('LENGTH', String(encoded.length)) + encoded
    })

const inputs: fc.Arbitrary<WeChatInput> = fc.record({
  call: fc.constantFrom('login', 'checkSession', 'resetSession', 'phoneNumber'),
  answer: answer(ANSWERS),
  token: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: answer(TOKENS) })
})

/** Milliseconds for one call. */
const TIMEOUT = 400

export async function createWeChatFuzzer(scope: Scope): Promise<Fuzzer<WeChatInput>> {
  let current: WeChatInput | null = null
  const sockets = new Set<Socket>()
  const goodToken = `HTTP/1.1 200 OK\r\nContent-Length: ${TOKENS[0]?.length}\r\n\r\n${TOKENS[0]}`
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      if (!/^(?:GET|POST) /.test(chunk.toString('latin1'))) return
      const isToken = chunk.includes('/cgi-bin/')
      const text = isToken ? (current?.token ?? goodToken) : (current?.answer ?? '')
      socket.write(text, 'latin1')
      // An answer without its own end ends with the connection, like one that broke off.
      if (!isToken || current?.token !== null) socket.end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  scope.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo

  const { log, lines } = createTestLog()
  const sealToken = createTestSealer()
  const apiBase = `http://127.0.0.1:${port}`
  const create = () => {
    const store = createMemoryStore({ clock: systemClock, log })
    const wechat = createWeChat({
      apiBase,
      fallbackBase: null,
      proxy: null,
      timeout: TIMEOUT,
      lookup,
      store,
      clock: systemClock,
      log,
      sealToken
    })
    const close = async () => {
      await wechat.close()
      await store.close()
    }
    return { wechat, close }
  }
  // Holds a valid access token from its first use on.
  const lasting = create()
  scope.teardown(lasting.close)

  async function call(input: WeChatInput): Promise<unknown> {
    const { wechat, close } = input.token === null ? lasting : create()
    current = input
    try {
      if (input.call === 'login') return await wechat.login(SHOP, 'a-login-code')
      if (input.call === 'phoneNumber') return await wechat.phoneNumber(SHOP, 'oAlice00001', 'a-phone-code')
      return await wechat[input.call](SHOP, 'oAlice00001', KEY)
    } finally {
      if (input.token !== null) await close()
    }
  }

  return {
    name: 'wechat',
    inputs,
    async check(input) {
      lines.length = 0
      const began = performance.now()
      let said = ''
      try {
        const fault = faultOf(input.call, await call(input))
        if (fault !== null) return fault
      } catch (error) {
        if (!(error instanceof ApiError)) return `threw ${error instanceof Error ? error.name : typeof error}`
        if (error.status === 500 || error.status < 400) return `answered ${error.status}`
        said = `${error.detail} ${error.cause instanceof Error ? error.cause.message : ''}`
      }
      const everything = `${said} ${lines.join(' ')}`
      for (const secret of [KEY, SHOP.secret, 'ACCESSTOKEN0123456789', 'a-login-code'])
        if (everything.includes(secret)) return `a log line or an error holds ${secret.slice(0, 4)}…`
      // Two calls at most, each with its own deadline, on a machine that may be busy.
      return performance.now() - began > 10 * TIMEOUT ? 'took longer than its deadlines' : null
    }
  }
}

function faultOf(call: WeChatInput['call'], value: unknown): string | null {
  if (call === 'checkSession') return typeof value === 'boolean' ? null : 'no boolean'
  if (call === 'resetSession') return isKey(value) ? null : 'no session_key'
  const { openId, unionId, sessionKey, phoneNumber } = value as Record<string, unknown>
  if (call === 'phoneNumber')
    return typeof phoneNumber === 'string' && /^\+?[\d -]{4,24}$/.test(phoneNumber) ? null : 'no number'
  const isId = (id: unknown) => typeof id === 'string' && /^[A-Za-z0-9_-]{6,128}$/.test(id)
  return isId(openId) && (unionId === null || isId(unionId)) && isKey(sessionKey) ? null : 'no login'
}

function isKey(value: unknown): boolean {
  return typeof value === 'string' && Buffer.from(value, 'base64').length === 16 && /^[A-Za-z0-9+/]{22}==$/.test(value)
}
