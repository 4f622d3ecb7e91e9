/** Measures reading a request, function by function, without sockets: `node
 *  bench/hot-functions.ts`. */
import { ApiError } from '../src/errors.ts'
import { Recogniser } from '../src/fast-lane/recogniser.ts'
import { createHeaderNames } from '../src/http/headers/header-names.ts'
import { readRequestHeaders } from '../src/http/headers/request-headers.ts'
import { canonicalPath, PathRefusal } from '../src/http/path/canonical-path.ts'
import type { Principal } from '../src/identity/principal.ts'
import { createRouteTable } from '../src/routing/route-table.ts'
import { route } from '../test/support/route-tables.ts'
import { headersFor } from '../test/support/upstream-head.ts'

/** Headers as a mini-program on a phone sends them. */
const RAW = [
  ['Host', 'api.shop.example'],
  ['Connection', 'keep-alive'],
  ['Content-Length', '48'],
  ['charset', 'utf-8'],
  ['Authorization', `Bearer ${'x'.repeat(400)}`],
  [
    'User-Agent',
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) MicroMessenger/8.0.53 NetType/WIFI Language/zh_CN'
  ],
  ['content-type', 'application/json'],
  ['Accept-Encoding', 'gzip,compress,br,deflate'],
  ['Referer', 'https://servicewechat.com/wx1234567890abcdef/12/page-frame.html'],
  ['Accept', '*/*'],
  ['Accept-Language', 'zh-CN'],
  ['X-Forwarded-For', '192.0.2.1']
].flat()
const TARGET = '/api/orders/4711?page=2&size=20'
const ROUTES = ['/api/orders', '/api/products', '/api/users', '/api', '/admin'].map((path) => route(path))
const OPEN = route('/', { auth: 'public' })

const names = createHeaderNames(['X-Tenant'])
const peer = { address: '192.0.2.1', isTrusted: false, proto: 'http' } as const
const table = createRouteTable([...ROUTES, OPEN])
const principal: Principal = {
  appId: 'wx1234567890abcdef',
  openId: 'oBench-000000000000000000001',
  unionId: null,
  userId: 'user-000001',
  sessionId: 'session-000001',
  epoch: 0,
  status: 'bound',
  claims: {},
  expiresAt: 0
}

function readTarget(target: string) {
  const canonical = canonicalPath(target)
  if (canonical instanceof PathRefusal) throw new Error(canonical.reason)
  return canonical
}

function readHeaders() {
  const headers = readRequestHeaders(RAW, { names, peer, httpVersion: '1.1', limit: 16_384 })
  if (headers instanceof ApiError) throw headers
  return headers
}

const recogniser = new Recogniser()
const LINES = RAW.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join('')
const requestBytes = Buffer.from(`POST ${TARGET} HTTP/1.1\r\n${LINES}\r\n`)

function recognise() {
  const head = recogniser.recognise(requestBytes, 0, requestBytes.length)
  if (typeof head === 'string') throw new Error(head)
  return head
}

const plain = readTarget(TARGET)
const capitals = readTarget('/api/orders/AbCdEf')
const encoded = readTarget('/api/orders/%E5%BC%A0%E4%B8%89')
const [, , , , protectedRoute = OPEN] = ROUTES
let sink = 0

const subjects: Readonly<Record<string, () => unknown>> = {
  [`recognise ${requestBytes.length} bytes`]: recognise,
  'canonical path': () => readTarget(TARGET),
  'canonical path, encoded': () => readTarget('/api/orders/%E5%BC%A0%E4%B8%89'),
  'route, plain path': () => table.match('POST', plain),
  'route, path with capitals': () => table.match('POST', capitals),
  'route, encoded path': () => table.match('POST', encoded),
  'read 12 headers': readHeaders,
  'build headers': () => headersFor(readHeaders(), protectedRoute, principal),
  'all together': () => {
    const target = readTarget(TARGET)
    table.match('POST', target)
    return headersFor(readHeaders(), protectedRoute, principal)
  }
}

const ROUNDS = 200_000
const lines: string[] = []
for (const [name, run] of Object.entries(subjects)) {
  let best = Number.POSITIVE_INFINITY
  for (let turn = 0; turn < 5; turn++) {
    const start = process.hrtime.bigint()
    for (let index = 0; index < ROUNDS; index++) if (run() !== undefined) sink++
    best = Math.min(best, Number(process.hrtime.bigint() - start) / ROUNDS)
  }
  lines.push(`${name.padEnd(28)} ${(best / 1000).toFixed(2)} µs`)
}
process.stdout.write(`${lines.join('\n')}\n(best of 5 × ${ROUNDS}; ${sink} calls)\n`)
