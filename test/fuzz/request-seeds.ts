/** Requests to try every time, each with its mutants: requests close to a limit of some rule. */
import type { RequestInput } from './requests.ts'

const GET = 'GET /a HTTP/1.1\r\nHost: h\r\n'
const POST = 'POST /a HTTP/1.1\r\nHost: h\r\n'

const TEXTS: readonly string[] = [
  `${GET}\r\n`,
  `${POST}Content-Length: 4\r\n\r\nbody`,
  `${POST}Connection: close\r\nContent-Length: 4\r\n\r\nbody`,
  `${GET}Connection: keep-alive\r\nCookie: a=b\r\nX-A: \t b \t\r\n\r\n`,
  `${POST}Content-Length: 4\t\r\n\r\nbody`,
  `${POST}Content-Length: 4\r\nContent-Length: 4\r\n\r\nbody`,
  `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  `${POST}Transfer_Encoding: chunked\r\nContent-Length: 4\r\n\r\nbody`,
  `${GET}Connection: close\t\r\n\r\n`,
  `${GET}Proxy-Connection: close\r\n\r\n`,
  `${GET}Connection: upgrade\r\nUpgrade: h2c\r\n\r\n`,
  `${GET}Upgrade: h2c\r\n\r\n`,
  `${POST}Expect: 100-continue\r\nContent-Length: 4\r\n\r\nbody`,
  'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n',
  'GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n',
  'CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n',
  'GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n',
  `${GET}${'A: b\r\n'.repeat(200)}\r\n`,
  `${GET}X-A: ${'a'.repeat(65_000)}\r\n\r\n`,
  `GET /${'a'.repeat(65_536)} HTTP/1.1\r\n\r\n`
]

export const REQUESTS: readonly RequestInput[] = TEXTS.map((text, seed) => ({ text, seed }))
