/** Family P, continued: other forms of a request-target, the query, and the length of a target. */
import { NO_TOKEN, type Row, refused, SERVED } from '../case.ts'
import { GUARDED, toPathRow } from './paths.ts'
import { toRow } from './row-text.ts'

const rows = [
  {
    id: 'P18',
    rule: 'a "#" is refused: it is never part of a request-target',
    sources: ['RFC 9112, 3.2', 'GHSA-fvhj-4qfh-q2hm (Traefik)', 'CVE-2023-45539 (HAProxy)', 'Http11Probe'],
    cases: '/x#/../{name} /#/../{name} P|{route}#x /x?y#/{name} #/{name} /x%23/../{name}'
  },
  {
    id: 'P19',
    rule: 'the query takes no part in choosing the route',
    sources: ['CVE-2025-54576 (oauth2-proxy)'],
    expected: NO_TOKEN,
    cases: '{route}?x=/public {route}/x?/../public {route}? {route}/?;/public {route}/x?a=/livez'
  },
  {
    id: 'P20',
    rule: 'an absolute form with another authority or scheme than the request has is refused',
    sources: ['RFC 9112, 3.2.2', 'weird_proxies', 'Http11Probe'],
    expected: refused([400, 404, 421], ['bad_path', 'invalid_request', 'bad_header']),
    cases: `P|http://evil.invalid{route} http://evil.invalid{route}/x https://evil.invalid{route}
      http://user@evil.invalid{route} http://user@{host}{route} http://{host}:1{route} http:{route} http:/{name}
      http:///{name} file://{host}{route} evil.invalid:80{route} http://evil.invalid{route}?http://{host}/`
  },
  {
    id: 'P43',
    rule: 'an absolute form with the authority of the Host header is read as its path (RFC 9112, 3.2.2)',
    sources: ['RFC 9112, 3.2.2', 'Http11Probe'],
    expected: NO_TOKEN,
    cases: 'P|http://{host}{route} HTTP://{host}{route}/x http://{host}{route}?http://evil.invalid/'
  },
  {
    id: 'P44',
    rule: 'an absolute form allows no path that an origin form does not',
    sources: ['RFC 9112, 3.2.2'],
    expected: refused([400, 401, 403, 404], ['bad_path', 'invalid_request']),
    cases: String.raw`http://{host}/./{name} http://{host}//{name} http://{host}/x/../{name} http://{host}/x\..\{name}
      http://{host}/x/%2e%2e/{name} http://{host}{route}#x`
  },
  {
    id: 'P21',
    rule: 'a target that does not start with "/" is refused',
    sources: ['RFC 9112, 3.2', 'Http11Probe', 'HTTP Garden'],
    cases: 'P|* */{name} x/{name} ?/{name} G|!'
  },
  {
    id: 'P22',
    rule: 'raw bytes beyond ASCII are refused',
    sources: ['RFC 3986, 2', 'Http11Probe'],
    cases: ['{route}/\xe9', '/{name.wide.raw}', 'P| {route}\xc2\xa0', '/\xe2\x80\xa5/{name}', 'P| {route}/\xc0\xaf']
  },
  {
    id: 'P24',
    rule: 'a target beyond the limit is refused',
    sources: ['RFC 9110, 15.5.15', 'Http11Probe'],
    expected: refused([400, 401, 403, 404, 413, 414, 431], ['uri_too_long', 'headers_too_large', 'token_missing']),
    cases: '{route}/{a*9000} {route}?{a*9000} {route}/{a/*10000} P|{route}/{A*100000}'
  },
  {
    id: 'P25',
    rule: 'the rule holds for the prefix and every path below it, of up to 8,000 bytes',
    sources: ['RFC 9112, 3', 'Http11Probe'],
    expected: NO_TOKEN,
    cases: '{route} {route}/ {route}/x {route}/x/y/z {route}/a/{name} P|{route}/?{a*7900}'
  },
  {
    id: 'P26',
    rule: 'the path after the prefix never becomes another host',
    sources: ['fast-proxy #42 and #44', 'GHSA-6jwx-7vp4-9847 (Traefik)'],
    expected: GUARDED,
    cases: String.raw`{route}/%2e%2e/internal {route}//evil.invalid/x {route}/\evil.invalid {route}/%5cevil.invalid
      {route}/@evil.invalid/ {route}/http://evil.invalid/`
  },
  {
    id: 'P40',
    rule: 'forms of a name that file systems know do not bypass the rule',
    sources: ['CVE-1999-0278 (IIS ::$DATA)'],
    expected: GUARDED,
    cases: '{route}::$DATA {route}:$i30:$INDEX_ALLOCATION/x {route}+/x /+{name}/x'
  }
]

export const TARGETS: readonly Row[] = [
  ...rows.map(toPathRow),
  toRow({
    id: 'P41',
    family: 'paths',
    rule: 'no method bypasses the rule',
    expected: refused([400, 401, 403, 404, 405, 501], ['token_missing', 'method_not_allowed']),
    sources: ['RFC 9110, 9.3'],
    after: 'Content-Length: 0\r\n\r\n',
    cases: '{OPTIONS} {PUT} {DELETE} {PATCH} {PROPFIND} {QUERY} {SEARCH} {PURGE} {LINK}'
  }),
  toRow({
    id: 'P45',
    family: 'paths',
    rule: 'HEAD needs a token too, and its answer has no body (RFC 9110, 9.3.2)',
    expected: NO_TOKEN,
    sources: ['RFC 9110, 9.3.2', 'Http11Probe'],
    isHead: true,
    cases: ['P| {HEAD}\r\n']
  }),
  toRow({
    id: 'P42',
    family: 'paths',
    rule: 'a path that looks like an authority is forwarded as a path',
    expected: SERVED,
    sources: ['fast-proxy #42'],
    needs: 'token',
    before: 'GET {route}',
    after: ' HTTP/1.1\r\nHost: {host}\r\n{auth}\r\n',
    cases: String.raw`?@evil.invalid/ ?//evil.invalid/%2e%2e/\ `
  })
]
