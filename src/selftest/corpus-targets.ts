/** Family P, further: forms of a request-target other than an absolute path, and what stands around the path. */
import { below, get, NO_TOKEN, type Row, refused, SERVED, type Subject, utf8 } from './case.ts'
import { GUARDED, type PathRow, pathRow } from './path-row.ts'

const rows: readonly PathRow[] = [
  {
    id: 'P18',
    rule: 'a "#" is refused: it is never part of a request-target',
    sources: ['GHSA-fvhj-4qfh-q2hm (Traefik)', 'CVE-2023-45539 (HAProxy)'],
    targets: (route, name) => [`/x#/../${name}`, `/#/../${name}`, `${route}#x`, `/x?y#/${name}`]
  },
  {
    id: 'P19',
    rule: 'the query takes no part in choosing the route',
    sources: ['CVE-2025-54576 (oauth2-proxy)'],
    expected: NO_TOKEN,
    targets: (route) => [
      `${route}?x=/public`,
      `${below(route, 'x')}?/../public`,
      `${route}?`,
      `${below(route, '')}?;/public`,
      `${below(route, 'x')}?a=/livez`
    ]
  },
  {
    id: 'P20',
    rule: 'the absolute form does not lead around the rule',
    sources: ['weird_proxies'],
    expected: refused([400, 401, 403, 404, 421], ['bad_path', 'invalid_request', 'token_missing', 'bad_header']),
    targets: (route) => [
      `http://evil.invalid${route}`,
      `http://evil.invalid${below(route, 'x')}`,
      `https://evil.invalid${route}`,
      `http://user@evil.invalid${route}`,
      `evil.invalid:80${route}`
    ]
  },
  {
    id: 'P21',
    rule: 'a target that does not start with "/" is refused',
    targets: (_route, name) => ['*', `*/${name}`, `${name === '' ? 'x' : name}/x`, `?/${name}`]
  },
  {
    id: 'P22',
    rule: 'raw bytes beyond ASCII are refused',
    targets: (route, name) => [`${route}/\xe9`, utf8(`/\uff41${name}`), utf8(`${route}\u00a0`), utf8(`/\u2025/${name}`)]
  },
  {
    id: 'P24',
    rule: 'a target beyond the limit is refused',
    expected: refused([400, 401, 403, 404, 413, 414, 431], ['uri_too_long', 'headers_too_large', 'token_missing']),
    targets: (route) => [
      below(route, 'a'.repeat(9_000)),
      `${route}?${'a'.repeat(9_000)}`,
      below(route, 'a/'.repeat(10_000))
    ]
  },
  {
    id: 'P25',
    rule: 'the rule holds for the prefix itself and all below it',
    expected: NO_TOKEN,
    targets: (route, name) => [
      route,
      below(route, ''),
      below(route, 'x'),
      below(route, 'x/y/z'),
      below(route, `a/${name}`)
    ]
  },
  {
    id: 'P26',
    rule: 'what stands behind the prefix never becomes another host',
    sources: ['fast-proxy #42 and #44', 'GHSA-6jwx-7vp4-9847 (Traefik)'],
    expected: GUARDED,
    targets: (route) => [
      below(route, '%2e%2e/internal'),
      below(route, '/evil.invalid/x'),
      below(route, '\\evil.invalid'),
      below(route, '%5cevil.invalid'),
      below(route, '@evil.invalid/'),
      below(route, 'http://evil.invalid/')
    ]
  },
  {
    id: 'P40',
    rule: 'forms of a name that file systems know do not lead around the rule',
    sources: ['CVE-1999-0278 (IIS ::$DATA)'],
    expected: GUARDED,
    targets: (route, name) => [`${route}::$DATA`, `${route}:$i30:$INDEX_ALLOCATION/x`, `${route}+/x`, `/+${name}/x`]
  }
]

/** Methods that some servers leave unprotected, on the plain path. */
const methods: Row = {
  id: 'P41',
  family: 'paths',
  rule: 'no method leads around the rule',
  expected: refused([400, 401, 403, 404, 405, 501], ['token_missing', 'method_not_allowed']),
  sources: ['RFC 9110, 9.3'],
  attacks: ({ host, route }) =>
    ['HEAD', 'OPTIONS', 'PUT', 'DELETE', 'PATCH'].map((method) => ({
      bytes: `${method} ${route} HTTP/1.1\r\nHost: ${host}\r\n${method === 'HEAD' ? '' : 'Content-Length: 0\r\n'}\r\n`,
      isHead: method === 'HEAD'
    }))
}

/** Only here is a token sent along: the path is fine, and must stay a path. */
const authority: Row = {
  id: 'P42',
  family: 'paths',
  rule: 'a path that looks like an authority is forwarded as a path',
  expected: SERVED,
  sources: ['fast-proxy #42'],
  attacks: (subject) => [
    { bytes: get(subject, `${subject.route}?@evil.invalid/`, bearer(subject)), needs: 'token' },
    { bytes: get(subject, `${subject.route}?//evil.invalid/%2e%2e/\\`, bearer(subject)), needs: 'token' }
  ]
}

export const TARGETS: readonly Row[] = [...rows.map(pathRow), methods, authority]

function bearer({ token }: Subject): string {
  return `Authorization: Bearer ${token}`
}
