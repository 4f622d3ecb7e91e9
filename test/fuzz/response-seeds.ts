/** Responses to try every time: each base, whole and with each change at each place of its
 *  structure. */
import type { ResponseInput } from './responses.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const TE = 'Transfer-Encoding: chunked'

const BASES: readonly string[] = [
  `${OK}Server: a\r\nContent-Length: 4\r\n\r\nfine`,
  `${OK}${TE}\r\nX-A: b\r\n\r\n4;a="b"\r\nfine\r\n0\r\nX-T: u\r\n\r\n`,
  'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nfine',
  `HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n${OK}Content-Length: 4\r\n\r\nfine`,
  `${OK}Connection: close\r\n\r\nfine`
]
/** Put before and after each delimiter of a base. */
const SCRAPS = ['\r', '\n', '\r\n', ' ', '\t', '\0', '\x7f', '\xa0', ':', ';', ',', '0', 'x']
const DELIMITER = /\r\n|[ :;"=.]/g

/** Earlier findings, and responses close to a limit of some rule. */
const TEXTS: readonly string[] = [
  'HTTP/1.1 100 Continue\r\nConnection: keep-alive, close\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.0 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  `${OK}${TE}\t\r\n\r\n0\r\n\r\n`,
  `${OK}${TE} \t \r\n\r\n0\r\n\r\n`,
  `${OK}Content-Length: 4\t\r\n\r\nfine`,
  `${OK}Proxy-Connection: close\r\nContent-Length: 0\r\n\r\n`,
  `${OK}${TE}\r\n\r\n${`1;${'a'.repeat(900)}\r\nx\r\n`.repeat(17)}0\r\n\r\n`,
  `${OK}${TE}\r\n\r\n0\r\nContent-Length: 4\r\n\r\nfine`,
  `${OK}X-A: ${'a'.repeat(65_000)}\r\nContent-Length: 4\r\n\r\nfine`,
  `${OK}${'A: b\r\n'.repeat(200)}Content-Length: 4\r\n\r\nfine`,
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n\r\nfine',
  'HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n'
]

/** Truncations, repeats and insertions. */
function variantsOf(text: string): string[] {
  const variants = [text, text + text, text.slice(0, -1), `${text}x`]
  for (const { index } of text.matchAll(DELIMITER)) {
    const [before, after] = [text.slice(0, index), text.slice(index)]
    variants.push(before, before + after.slice(1), before + after.slice(0, 2) + after)
    for (const scrap of SCRAPS) variants.push(before + scrap + after)
  }
  return variants
}

const METHODS = ['GET', 'HEAD'] as const

export const RESPONSES: readonly ResponseInput[] = [
  ...TEXTS.flatMap((text) => METHODS.map((method) => ({ text, method, isUpgrade: method === 'GET', cuts: [0.5] }))),
  ...BASES.flatMap(variantsOf).map((text, index) => ({
    text,
    method: 'GET',
    isUpgrade: false,
    cuts: [(index % 97) / 97]
  }))
]
