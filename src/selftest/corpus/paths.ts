/** Family P: paths that two servers read differently. No case carries a token. */
import { type Row, refused } from '../case.ts'
import { type RowText, toRow } from './row-text.ts'

const STATUSES = [400, 401, 403, 404]
const UNREADABLE = refused(STATUSES, ['bad_path', 'invalid_request'])
/** Refused as unreadable, or treated by the rule of the path that it can stand for. */
export const GUARDED = refused(STATUSES, ['bad_path', 'invalid_request', 'token_missing', 'no_route'])

const rows: readonly (Pick<RowText, 'id' | 'rule' | 'cases' | 'sources'> & { expected?: RowText['expected'] })[] = [
  {
    id: 'P01',
    rule: 'a "." segment is not resolved after the route was chosen',
    sources: ['CVE-2026-42274 (Heimdall)', 'GHSA-xcx5-93pw-jw2w (Envoy)'],
    cases: '/./{name}/x /././{name} /x/./../{name}/x /./public/../{name}/x {route}/./x'
  },
  {
    id: 'P02',
    rule: 'an encoded "." segment is not resolved either',
    cases: '/%2e/{name}/x /%2E/{name}/x /%2e/%2e/{name} /x/%2e/../{name} {route}/%2e/x'
  },
  {
    id: 'P03',
    rule: 'a backslash is refused: some servers read a slash',
    sources: ['WHATWG URL, special schemes'],
    cases: String.raw`/.\{name}/x /\{name}/x \{name}\x {route}\x /x\..\{name} \\evil.invalid\{name}`
  },
  {
    id: 'P04',
    rule: 'a dot before an empty segment is refused',
    sources: ['GHSA-x732-6j76-qmhm (rou3, better-auth)'],
    cases: '/.//{name}/x /%2e//{name}/x /.///{name}'
  },
  {
    id: 'P05',
    rule: 'other letters of the same name do not bypass the rule',
    sources: ['IIS, Express and Spring can compare without case'],
    expected: refused(STATUSES, ['token_missing', 'no_route', 'bad_path']),
    cases: `/{name.upper}/x /{name.capital}/x /{name.upper} /{name.first.capital}/x /{name.wide}/x /{name.dotless}/x
      /%E2%80%8B{name}/x /{name}%E2%80%8B/x /{name}%E2%80%82/x /{name}%EF%BC%9Ba=b/x /{name}%EF%BC%8Fx
      /x%EF%BC%8F%EF%BC%8E%EF%BC%8E%EF%BC%8F{name} /%EF%BC%8E%EF%BC%8E/{name} /%20{name}/x`
  },
  {
    id: 'P06',
    rule: 'an empty segment is refused, not merged',
    sources: ['slim-jwt-auth #50', 'nginx merge_slashes'],
    cases: '//{name}/x ///{name} //evil.invalid/{name} {route}//x /x//../{name}'
  },
  {
    id: 'P07',
    rule: 'a ".." segment is refused in every spelling',
    sources: [
      'GHSA-2q7r-29rg-6m5h (@fastify/reply-from)',
      'CVE-2026-33494 (Oathkeeper)',
      'CVE-2021-41773 (Apache httpd)'
    ],
    cases: `/x/../{name}/x /x/%2e%2e/{name}/x /x/.%2e/{name}/x /x/%2e./{name}/x /x/%2E%2E/{name} /../{name}
      /x/y/../../{name} {route}/../x`
  },
  {
    id: 'P08',
    rule: 'a ".." beside an encoded slash or a backslash is refused',
    sources: ['CVE-2021-29492 (Envoy)', 'CVE-2025-47952 (Traefik)'],
    cases: String.raw`/x/..%2f{name}/x /x%2f..%2f{name}/x /x/..%5c{name} /x\..\{name}/x /x/%5c../{name}
      /x%2F..%5C{name} /x/%2e%2e%2f{name} /x/%2e%2e%5c{name} /x%5c..%5c{name} /%2e%2e%2f%2e%2e%2f{name}`
  },
  {
    id: 'P09',
    rule: 'an encoded slash does not hide the end of a prefix',
    sources: ['Traefik, request path security'],
    expected: GUARDED,
    cases: '{route}%2fx {route}%2Fx /%2f{name}/x /%2F{name}%2Fx /%2f%2f{name} {route}%5cx /%5C{name}'
  },
  {
    id: 'P10',
    rule: 'a matrix parameter does not hide a name',
    sources: ['CVE-2026-73553 (Envoy)', 'CVE-2018-11759 (mod_jk)', 'CVE-2020-11989 (Apache Shiro)'],
    expected: GUARDED,
    cases: `{route};/x {route};a=b/x /;/{name}/x /.;/{name}/x {route}%3b/x {route}%3Ba=b/x /;a=b/{name}
      {route};jsessionid=1?y=2`
  },
  {
    id: 'P11',
    rule: 'a ".." with a matrix parameter is refused',
    sources: ['CVE-2020-1957 (Apache Shiro)', 'Tomcat path parameters'],
    cases: `/x/..;/{name}/x /..;/{name} /x/..;a=b/{name} /x/%2e%2e;/{name} /x/..%3b/{name} /x/.;/../{name}`
  },
  {
    id: 'P12',
    rule: 'an encoded letter is decoded before the route is chosen',
    expected: GUARDED,
    cases: '/{name.first}/x /{name.all}/x /{name.all}'
  },
  {
    id: 'P13',
    rule: 'double encoding is refused',
    sources: ['Traefik, request path security', 'CVE-2001-0333 (IIS)'],
    expected: GUARDED,
    cases: `/{name.twice}/x /%252e%252e/{name} /x/%252e%252e/{name}/x /x/%25%32%65%25%32%65/{name}
      /x/%25252e%25252e/{name} /x%252f{name} /x%25u002e/{name}`
  },
  {
    id: 'P14',
    rule: 'an encoded control character is refused',
    sources: ['Http11Probe'],
    cases: `P|{route}%00/x /%00/{name} {route}%0a P|{route}%0d%0aX:1 {route}%7f/x {route}%1f {route}%0D
      {route}%C2%85/x`
  },
  {
    id: 'P15',
    rule: 'a dot or space that some servers remove is refused',
    sources: ['CVE-2020-17523 (Apache Shiro)', 'Windows file names'],
    cases: `{route}%20/x {route}%09 {route}./x {route}%c2%a0 {route}. {route}../x {route}%2e/x {route}%20
      {route}.%20/x {route}%20./x {route}%e3%80%80/x /%20/{name}`
  },
  {
    id: 'P16',
    rule: 'bytes other than UTF-8 and malformed triplets are refused',
    cases: `/%c0%ae%c0%ae/{name} /x/%e0%80%ae/{name} {route}/%ff {route}/%zz {route}% {route}%2 {route}%2?y
      /%u002e/{name} /%c0%af{name} /%c1%9c{name} {route}/%ed%a0%80 {route}/%f8%80%80%80%af {route}/%f4%90%80%80
      {route}/%c3/%a9 {route}/%-1 {route}/%0x41`
  },
  {
    id: 'P17',
    rule: 'a dot segment at the end of a protected path does not leave it',
    cases: '{route}/. {route}/%2e {route}/.. {route}/%2e%2e {route}/../ {route}/./'
  }
]

export const PATHS: readonly Row[] = rows.map(toPathRow)

/** A row of family P: GET of each case, without a token. */
export function toPathRow({ expected = UNREADABLE, ...row }: (typeof rows)[number]): Row {
  return toRow({ family: 'paths', before: 'GET ', after: ' HTTP/1.1\r\nHost: {host}\r\n\r\n', expected, ...row })
}
