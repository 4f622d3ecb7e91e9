/** The targets of requests in gateway.yaml: paths of routes and addresses of targets. */
import fc from 'fast-check'
import { test } from 'tap'
import { pathFault } from '../src/config/path-fault.ts'
import { canonicalPath, PathRefusal } from '../src/http/path/canonical-path.ts'
import { configText, load, problems, warnings } from './support/config.ts'

const route = (rest: string) => configText({ routes: `[{ upstream: orders, ${rest} }]` })
const target = (url: string) => configText({ upstreams: `{ orders: { targets: [{ url: ${JSON.stringify(url)} }] } }` })

test('a route path must be in its canonical form', async (t) => {
  const bad = [
    'api',
    '/api/',
    '//api',
    '/a//b',
    '/a/./b',
    '/a/../b',
    '/..',
    '/a?x=1',
    '/a#b',
    '/a\\b',
    '/a;b',
    '/a b',
    '/a\tb',
    '/%61dmin',
    '/a%2fb',
    '/a%2Fb',
    '/a%5Cb',
    '/a%2e%2e',
    '/%e8%AE%A2',
    '/a%zz',
    '/a%',
    '/a%00',
    '/%ff',
    '/%C0%AE',
    '/订单',
    '/a*',
    '/admin.',
    '/a%20'
  ]
  for (const path of bad)
    t.match(problems(route(`path: ${JSON.stringify(path)}`)), [/^gateway\.yaml:4:\d+ routes\[0\]\.path: /], path)
  for (const path of [
    '/',
    '/a',
    '/a-b_c.d~e',
    '/.well-known',
    '/a/...',
    '/a%20b',
    '/%E8%AE%A2%E5%8D%95',
    '/100%25',
    "/!$&'()+,=:@"
  ]) {
    t.same(problems(route(`path: ${JSON.stringify(path)}`)), [], path)
  }
  t.match(problems(route('path: "/订单"')), [/did you mean "\/%E8%AE%A2%E5%8D%95"/])
  t.match(problems(route('path: /%61dmin')), [/did you mean "\/admin"/])
})

test('no route can name a path of the gateway, and a catch-all is valid', async (t) => {
  for (const path of [
    '/auth',
    '/auth/login',
    '/wechat/push/x',
    '/.well-known/jwks.json',
    '/livez',
    '/readyz',
    '/healthz',
    '/AUTH/x',
    '/Livez',
    '/%E1%B5%83uth'
  ]) {
    t.match(problems(route(`path: ${path}`)), [/belongs to the gateway/], path)
  }
  for (const path of ['/', '/authors', '/.well-known', '/wechats', '/livezz'])
    t.same(problems(route(`path: ${path}`)), [], path)
})

test('Y14 a target is a plain http or https origin, and not a link-local address', async (t) => {
  const bad = [
    'file:///etc/passwd',
    'ftp://h',
    'h:3000',
    '//h',
    'http://',
    'http://user:pass@h',
    'http://h/path',
    'http://h/?a',
    'http://h#a',
    'http://h:0',
    'http://h:65536',
    'http://h:x',
    'http://a b',
    'http://a\\b',
    'http:h',
    'http://169.254.169.254',
    'http://169.254.169.254.:80',
    'http://0xA9FEA9FE',
    'http://2852039166',
    'http://0251.0376.0251.0376',
    'http://[fe80::1]',
    'http://[::ffff:169.254.169.254]',
    'http://[febf::1]:80'
  ]
  for (const url of bad) t.match(problems(target(url)), [/upstreams\.orders\.targets\[0\]\.url: /], url)
  for (const url of [
    'http://h',
    'https://h:443/',
    'http://10.0.0.5:3000',
    'http://[::1]:3000',
    'http://orders.internal',
    'http://my_service:80'
  ]) {
    t.same(problems(target(url)), [], url)
  }
  t.match(load(target('http://H.example:80/')), { config: { upstreams: [{ targets: [{ url: 'http://h.example' }] }] } })
})

test('a target that is the gateway itself is refused', async (t) => {
  const circle = (url: string, listeners: string) =>
    problems(configText({ upstreams: `{ orders: { targets: [{ url: ${JSON.stringify(url)} }] } }` }, listeners))
  const everywhere = 'server: { host: 0.0.0.0, port: 8080 }'
  const both = 'server: { host: "::", port: 8080 }\nservice: { host: 127.0.0.1, port: 9090 }'
  const own: [url: string, listeners: string][] = [
    ['http://127.0.0.1:8080', everywhere],
    ['http://localhost:8080', everywhere],
    ['http://127.9.9.9:8080', everywhere],
    ['http://0.0.0.0:8080', everywhere],
    ['https://localhost:8080', everywhere],
    ['http://[::1]:8080', both],
    ['http://127.0.0.1:9090', both],
    ['http://localhost:9090', both],
    ['http://10.0.0.7:8080', 'server: { host: 10.0.0.7 }'],
    ['http://gateway.internal:8080', 'server: { host: gateway.internal }'],
    ['http://localhost', 'server: { port: 80 }'],
    ['https://localhost', 'server: { port: 443 }']
  ]
  for (const [url, listeners] of own)
    t.match(
      circle(url, listeners),
      [/targets\[0\]\.url: is the address of the gateway itself \((server|service)\.port\).*set another \1\.port/],
      url
    )
  const others: [url: string, listeners: string][] = [
    ['http://127.0.0.1:3000', everywhere],
    ['http://orders:8080', everywhere],
    ['http://10.0.0.5:8080', everywhere],
    ['http://[::1]:8080', everywhere],
    ['http://127.0.0.2:8080', 'server: { host: 127.0.0.1 }'],
    ['http://10.0.0.8:8080', 'server: { host: 10.0.0.7 }'],
    ['http://localhost:8080', 'server: { port: 0 }']
  ]
  for (const [url, listeners] of others) t.same(circle(url, listeners), [], url)
})

test('trusted proxies that are half of all addresses together are refused, and a large part is a warning', async (t) => {
  const trust = (...ranges: string[]) => configText({}, `server: { trustedProxies: ${JSON.stringify(ranges)} }`)
  const refused = [
    ['0.0.0.0/1', '128.0.0.0/1'],
    ['0.0.0.0/1'],
    ['::/1', '8000::/1'],
    ['2000::/4'],
    ['::ffff:0.0.0.0/97'],
    ['64.0.0.0/2', '128.0.0.0/2', '10.0.0.0/8'],
    Array.from({ length: 128 }, (_, index) => `${index * 2}.0.0.0/8`)
  ]
  for (const ranges of refused)
    t.match(
      problems(trust(...ranges)),
      [/server\.trustedProxies: together the ranges trust (5\d|100)% of all/],
      ranges.join()
    )
  t.match(warnings(trust('16.0.0.0/4')), [/trust 6% of all IPv4 addresses \(name the addresses of your proxies only\)/])
  t.match(warnings(trust('2400::/6')), [/trust 12% of all IPv6 addresses/])
  const usual = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fd00::/8', '2606:4700::/32', '::1', '100.64.0.0/10']
  t.same(problems(trust(...usual)), [])
  t.same(warnings(trust(...usual)), [])
})

test('every path that the file accepts is the canonical path of a request', async (t) => {
  const scrap = fc.constantFrom(
    '/',
    'a',
    'B',
    '.',
    '..',
    '-',
    '~',
    '%20',
    '%2F',
    '%41',
    '%c3%a9',
    '%C3%A9',
    '%25',
    ';',
    '@',
    '|',
    ']',
    '$',
    "'"
  )
  const path = fc.array(scrap, { maxLength: 8 }).map((parts) => `/${parts.join('')}`)
  const property = fc.property(path, (path) => {
    if (pathFault(path) !== null) return true
    const canonical = canonicalPath(path)
    return !(canonical instanceof PathRefusal) && canonical.path === path && canonical.needs === 0
  })
  fc.assert(property, { numRuns: 3000 })
  t.pass()
})
