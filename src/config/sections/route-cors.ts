/** `routes[].cors`: origins of web pages that may call a route (Fetch, section 3.2). */
import { isLoopback } from '../../http/addresses.ts'
import { type Static, Type } from '../../schema.ts'
import { type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { type Draft, entries } from '../section.ts'
import { duration, flag, mapping, matching, tokenPattern } from '../terms.ts'
import { milliseconds } from '../units.ts'

const headerName = matching('Header name.', tokenPattern, 'a header name')

const section = mapping('Web pages of other origins that may call the route. Preflights are answered by the gateway.', {
  origins: Type.Array(Type.String({ description: 'Origin such as https://h5.example.com.', minLength: 1 }), {
    description: 'Origins, compared exactly.',
    minItems: 1,
    maxItems: 1024,
    uniqueItems: true
  }),
  headers: Type.Array(headerName, {
    description: 'Request headers that a page may send.',
    default: ['authorization', 'content-type'],
    maxItems: 128
  }),
  exposeHeaders: Type.Array(headerName, {
    description: 'Response headers that a page may read.',
    default: ['retry-after', 'x-request-id'],
    maxItems: 128
  }),
  credentials: flag('A page may send cookies. An access token needs no cookie.', false),
  maxAge: duration('Time that a browser keeps the answer to a preflight.', '10m')
})

export const cors = Type.Optional(section)

type WrittenCors = Static<typeof section>

interface CorsRoute {
  readonly cors?: Draft<WrittenCors> | undefined
  readonly responseHeaders?: { readonly set?: Readonly<Record<string, string | undefined>> | undefined } | undefined
}

/** @param path Place of the route. */
export function checkCors({ cors, responseHeaders }: CorsRoute, path: Path, report: Report): void {
  if (cors === undefined) return
  for (const [index, origin] of entries(cors.origins)) {
    const place = [...path, 'cors', 'origins', index]
    const [fault, hint] = originFault(origin) ?? []
    if (fault !== undefined) report.error(place, fault, hint)
    else if (origin.startsWith('http:') && !isLoopback(new URL(origin).hostname)) {
      report.warn(place, 'is not https: a machine on the way can change its pages and call the route from them')
    }
  }
  for (const list of ['headers', 'exposeHeaders'] as const) {
    for (const [index, name] of entries(cors[list])) {
      if (name === '*') report.error([...path, 'cors', list, index], 'must name one header', 'list the headers')
    }
  }
  for (const name of Object.keys(responseHeaders?.set ?? {})) {
    if (!name.toLowerCase().startsWith('access-control-')) continue
    const message = 'cors of this route writes the Access-Control-* headers'
    report.error([...path, 'responseHeaders', 'set', name], message, 'remove one of the two', 'key')
  }
}

/** The fault and a hint; null for an origin in the form in which browsers send it (RFC 6454,
 *  section 6.2). */
function originFault(text: string): [string, string?] | null {
  if (text.includes('*')) return ['must be one origin: a pattern would admit pages of others', 'list the origins']
  if (text === 'null') return ['must not be null: sandboxed pages of every site send it']
  const example = 'such as https://h5.example.com'
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return [`must be an origin ${example}`]
  const { origin, username, password } = new URL(text)
  if (username !== '' || password !== '') return [`must be an origin ${example}, without credentials`]
  return origin === text ? null : ['is not the form that browsers send', `write ${quote(origin)}`]
}

export function resolveCors(written: WrittenCors | undefined) {
  if (written === undefined) return null
  const { origins, headers, exposeHeaders, credentials, maxAge } = written
  return { origins, headers, exposeHeaders, credentials, maxAge: milliseconds(maxAge) }
}
