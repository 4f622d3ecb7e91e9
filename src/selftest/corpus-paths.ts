/** Family P: paths that one server reads in another way than the next. All without a token. */
import { below, type Row, refused } from './case.ts'
import { GUARDED, type PathRow, pathRow, STATUSES } from './path-row.ts'
import { capitalised, encodeAll, encodeFirst, fullwidth } from './spelling.ts'

const rows: readonly PathRow[] = [
  {
    id: 'P01',
    rule: 'a "." segment is not resolved after the route was chosen',
    sources: ['CVE-2026-42274 (Heimdall)', 'GHSA-xcx5-93pw-jw2w (Envoy)'],
    targets: (route, name) => [`/./${name}/x`, `/././${name}`, `/x/./../${name}/x`, below(route, './x')]
  },
  {
    id: 'P02',
    rule: 'an encoded "." segment is not resolved either',
    targets: (route, name) => [`/%2e/${name}/x`, `/%2E/${name}/x`, `/%2e/%2e/${name}`, below(route, '%2e/x')]
  },
  {
    id: 'P03',
    rule: 'a backslash is not a slash for anybody',
    sources: ['WHATWG URL, special schemes'],
    targets: (route, name) => [`/.\\${name}/x`, `/\\${name}/x`, `\\${name}\\x`, `${route}\\x`, `/x\\..\\${name}`]
  },
  {
    id: 'P04',
    rule: 'a dot before an empty segment is refused',
    sources: ['GHSA-x732-6j76-qmhm (rou3, better-auth)'],
    targets: (_route, name) => [`/.//${name}/x`, `/%2e//${name}/x`, `/.///${name}`]
  },
  {
    id: 'P05',
    rule: 'other letters of the same name do not lead around the rule',
    sources: ['IIS, Express and Spring can compare without case'],
    expected: refused(STATUSES, ['token_missing', 'no_route', 'bad_path']),
    targets: (_route, name) => [
      `/${name.toUpperCase()}/x`,
      `/${capitalised(name)}/x`,
      `/${name.toUpperCase()}`,
      `/${encodeFirst(capitalised(name))}/x`,
      `/${fullwidth(name)}/x`,
      `/${name.replace(/i/g, '%C4%B1')}/x`,
      `/%E2%80%8B${name}/x`,
      `/${name}%E2%80%8B/x`
    ]
  },
  {
    id: 'P06',
    rule: 'an empty segment is refused, not merged',
    sources: ['slim-jwt-auth #50', 'nginx merge_slashes'],
    targets: (route, name) => [
      `//${name}/x`,
      `///${name}`,
      `//evil.invalid/${name}`,
      below(route, '/x'),
      `/x//../${name}`
    ]
  },
  {
    id: 'P07',
    rule: 'a ".." segment is refused, however it is spelled',
    sources: [
      'GHSA-2q7r-29rg-6m5h (@fastify/reply-from)',
      'CVE-2026-33494 (Oathkeeper)',
      'CVE-2021-41773 (Apache httpd)'
    ],
    targets: (route, name) => [
      `/x/../${name}/x`,
      `/x/%2e%2e/${name}/x`,
      `/x/.%2e/${name}/x`,
      `/x/%2e./${name}/x`,
      `/x/%2E%2E/${name}`,
      `/../${name}`,
      `/x/y/../../${name}`,
      below(route, '../x')
    ]
  },
  {
    id: 'P08',
    rule: 'a ".." beside an encoded slash or a backslash is refused',
    sources: ['CVE-2021-29492 (Envoy)', 'CVE-2025-47952 (Traefik)'],
    targets: (_route, name) => [
      `/x/..%2f${name}/x`,
      `/x%2f..%2f${name}/x`,
      `/x/..%5c${name}`,
      `/x\\..\\${name}/x`,
      `/x/%5c../${name}`,
      `/x/%2e%2e%2f${name}`,
      `/x%5c..%5c${name}`
    ]
  },
  {
    id: 'P09',
    rule: 'an encoded slash does not hide where a prefix ends',
    sources: ['Traefik, request path security'],
    expected: GUARDED,
    targets: (route, name) => [
      `${route}%2fx`,
      `${route}%2Fx`,
      `/%2f${name}/x`,
      `/%2F${name}%2Fx`,
      `${route}%5cx`,
      `/%5c${name}`
    ]
  },
  {
    id: 'P10',
    rule: 'a matrix parameter does not hide a name',
    sources: ['CVE-2026-73553 (Envoy)', 'CVE-2018-11759 (mod_jk)', 'CVE-2020-11989 (Apache Shiro)'],
    expected: GUARDED,
    targets: (route, name) => [
      `${route};/x`,
      `${route};a=b/x`,
      `/;/${name}/x`,
      `/.;/${name}/x`,
      `${route}%3b/x`,
      `/;a=b/${name}`,
      `${route};jsessionid=1`
    ]
  },
  {
    id: 'P11',
    rule: 'a ".." with a matrix parameter is refused',
    sources: ['CVE-2020-1957 (Apache Shiro)', 'Tomcat path parameters'],
    targets: (_route, name) => [`/x/..;/${name}/x`, `/..;/${name}`, `/x/..;a=b/${name}`, `/x/%2e%2e;/${name}`]
  },
  {
    id: 'P12',
    rule: 'an encoded letter is decoded before the route is chosen',
    expected: GUARDED,
    targets: (_route, name) => [`/${encodeFirst(name)}/x`, `/${encodeAll(name)}/x`, `/${encodeAll(name)}`]
  },
  {
    id: 'P13',
    rule: 'what was encoded twice is refused',
    sources: ['Traefik, request path security', 'CVE-2001-0333 (IIS)'],
    expected: GUARDED,
    targets: (_route, name) => [
      `/${encodeAll(name).replaceAll('%', '%25')}/x`,
      `/%252e%252e/${name}`,
      `/x/%252e%252e/${name}/x`,
      `/x/%25%32%65%25%32%65/${name}`,
      `/x/%25252e%25252e/${name}`,
      `/x%252f${name}`
    ]
  },
  {
    id: 'P14',
    rule: 'an encoded control character is refused',
    targets: (route, name) => [
      `${route}%00/x`,
      `/%00/${name}`,
      `${route}%0a`,
      `${route}%0d%0aX:1`,
      `${route}%7f/x`,
      `${route}%C2%85/x`
    ]
  },
  {
    id: 'P15',
    rule: 'a dot or space that some servers cut off is refused',
    sources: ['CVE-2020-17523 (Apache Shiro)', 'Windows file names'],
    targets: (route, name) => [
      `${route}%20/x`,
      `${route}%09`,
      `${route}./x`,
      `${route}%c2%a0`,
      `${route}.`,
      `${route}%20`,
      `/%20/${name}`
    ]
  },
  {
    id: 'P16',
    rule: 'bytes that are no UTF-8 and triplets that are none are refused',
    targets: (_route, name) => [
      `/%c0%ae%c0%ae/${name}`,
      `/x/%e0%80%ae/${name}`,
      `/${name}/%ff`,
      `/${name}/%zz`,
      `/${name}%`,
      `/%u002e/${name}`,
      `/%c0%af${name}`
    ]
  },
  {
    id: 'P17',
    rule: 'a step at the end of a protected path does not leave it',
    targets: (route) => ['.', '%2e', '..', '%2e%2e', '../'].map((step) => below(route, step))
  }
]

export const PATHS: readonly Row[] = rows.map(pathRow)
