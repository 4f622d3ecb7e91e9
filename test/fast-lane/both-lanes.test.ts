/** The bytes of a client have the same effect on the fast lane as on the general one: the same
 *  bytes for the client, and the same for the backend. */
import { type Test, test } from 'tap'
import { casesFor, createSample } from '../../src/selftest/corpus.ts'
import { hasOpenssl } from '../support/certificates.ts'
import { effectOf, type Lanes, startLanes } from '../support/lanes.ts'

const request = (method: string, path: string, lines = '', body = '') =>
  `${method} ${path} HTTP/1.1\r\nHost: gateway.example\r\n${lines}\r\n${body}`
const GET = request('GET', '/before')
const POST = request('POST', '/admin', 'Authorization: Bearer {token}\r\nContent-Length: 4\r\n', 'body')
const LAST = request('GET', '/last', 'Connection: close\r\n')

async function compare(t: Test, { fast, general }: Lanes, parts: readonly string[], label: string): Promise<void> {
  const [one, other] = await Promise.all([effectOf(fast, parts), effectOf(general, parts)])
  if (JSON.stringify(one) === JSON.stringify(other)) t.pass(label)
  else t.same(one, other, label)
}

/** Cases of the corpus as parts to send, a last request behind each. Admission is the same code for
 *  both lanes, and decides about paths and tokens. */
function corpus(): { id: string; family: string; parts: string[] }[] {
  return casesFor({ ...createSample(), token: '{token}' }).flatMap(({ id, row: { family }, bytes }) => {
    if (family !== 'framing' && family !== 'headers') return []
    const parts = bytes.split(/\{pause\}|(?=\{end\})/)
    if (parts.at(-1) !== '{end}') parts.push(`${parts.pop()}${LAST}`)
    return [{ id, family, parts }]
  })
}

test('each head and each framing of the corpus has the same effect on both lanes, after ordinary requests and before one', async (t) => {
  const lanes = await startLanes(t)
  for (const { id, parts } of corpus()) await compare(t, lanes, [GET + POST, '{answer}', '{answer}', ...parts], id)
})

test('no request behind a malformed one is served on one lane only', async (t) => {
  const { fast, general } = await startLanes(t)
  for (const { id, family, parts } of corpus()) {
    if (family !== 'framing') continue
    const [first = '', ...rest] = parts
    const bytes = [GET + POST + first, ...rest]
    const [one, other] = await Promise.all([effectOf(fast, bytes), effectOf(general, bytes)])
    // The general lane may have read the rest of a refused request, which then ends no connection.
    t.same(one.seen, other.seen.slice(0, one.seen.length), id)
    t.match(one.seen.map(({ head }) => head.split(' ', 2)[1]).slice(0, 2), ['/before', '/admin'], id)
  }
})

const KINDS = ['plain', 'chunked', 'close', 'empty', '204', '304', '299', '503', 'hint', 'big', 'broken']
const WITH_BODY = /plain|chunked|close|hint|big|broken/
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']

test('each form of a response is the same on both lanes, for each method', async (t) => {
  const lanes = await startLanes(t)
  for (const kind of KINDS) {
    for (const method of METHODS) {
      if (method === 'HEAD' && WITH_BODY.test(kind)) continue
      const of = (lines: string, body = '') => request(method, `/answer-${kind}`, lines, body)
      const kept = [
        of(''),
        of('Connection: Keep-Alive\r\n'),
        of('Content-Length: 4\r\n', 'body'),
        of('Content-Length: 00\r\n')
      ]
      await compare(t, lanes, [kept.join('') + LAST], `${method} ${kind}`)
      await compare(
        t,
        lanes,
        [of('Content-Length: 4\r\nConnection: close\r\n', 'body') + LAST],
        `last ${method} ${kind}`
      )
    }
  }
})

test('requests are served alike wherever their bytes are cut', async (t) => {
  const lanes = await startLanes(t)
  const texts = [
    request('POST', '/a?b', 'Content-Length: 9\r\n', 'b\r\n\r\nGET ') +
      request('PUT', '/b', 'Content-Length: 2\r\n', 'cd'),
    // Refused before its body.
    request('POST', '/admin', 'Content-Length: 9\r\n', 'b\r\n\r\nGET '),
    request('GET', '/a') + request('POST', '/b', 'Transfer-Encoding: chunked\r\n', '2\r\nab\r\n0\r\n\r\n')
  ]
  for (const text of texts) {
    for (let cut = 1; cut <= text.length; cut++)
      await compare(t, lanes, [text.slice(0, cut), text.slice(cut) + LAST], `cut at ${cut}`)
    await compare(t, lanes, (text + LAST).split(''), 'byte by byte')
  }
})

test('over TLS both lanes do the same', async (t) => {
  const certificates = hasOpenssl(t)
  if (certificates === null) return
  const { certFile, keyFile } = certificates.make('edge', 'IP:127.0.0.1')
  const tls = { cert: { file: certFile }, key: { file: keyFile } }
  const lanes = await startLanes(t, { config: { server: { tls } } })
  const kept = ['plain', 'chunked', 'big', '204'].map((kind) =>
    request('POST', `/answer-${kind}`, 'Content-Length: 4\r\n', 'body')
  )
  const other = request('GET', '/a', 'Connection: keep-alive, x-a\r\n')
  const text = kept.join('')
  await compare(t, lanes, [text + other + text + LAST], 'in one piece')
  await compare(t, lanes, [...text.split(/(?=body|\r\n\r\n)/), other, '{answer}', LAST], 'in pieces')
  await compare(
    t,
    lanes,
    [request('POST', '/admin', 'Content-Length: 90000\r\n'), '{answer}', 'b'.repeat(90_000)],
    'refused'
  )
  await compare(
    t,
    lanes,
    [GET, '{answer}', request('POST', '/a', 'Content-Length: 4\r\n', 'bo'), '{end}'],
    'broken off'
  )
})
