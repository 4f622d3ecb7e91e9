/** `cors` of a route: answers to preflights, headers of all other answers (Fetch, section 3.2), and
 *  the origin of WebSockets. */
import type { RouteConfig } from '../config/config.ts'
import { headerValue } from '../http/headers/header-value.ts'
import type { AdmittedRequest } from '../http/request.ts'
import { METHODS } from '../node-http.ts'

export interface PreflightQuestion {
  readonly origin: string
  readonly method: string
}

export interface Cors {
  /** Headers of the answer, name and value in turns; null for an origin that is not listed. */
  preflight(question: PreflightQuestion): string[] | null
  /** Headers of every other answer to the request, name and value in turns. */
  answerHeaders(request: AdmittedRequest): readonly string[]
  /** The head of an upstream's answer with these headers instead of its own. */
  replaceIn(head: readonly string[], request: AdmittedRequest): string[]
  /** A page that is neither listed nor of this host opens a WebSocket. Browsers apply CORS to no
   *  WebSocket (RFC 6455, section 10.2). */
  isForeign(request: AdmittedRequest): boolean
}

const VARY_ONLY: readonly string[] = ['Vary', 'Origin']

export function createCors({ origins, headers, exposeHeaders, credentials, maxAge }: NonNullable<RouteConfig['cors']>) {
  const withCredentials = credentials ? ['Access-Control-Allow-Credentials', 'true'] : []
  const exposed = exposeHeaders.length > 0 ? ['Access-Control-Expose-Headers', exposeHeaders.join(', ')] : []
  const answers = new Map<string, readonly string[]>(
    origins.map((origin) => [
      origin,
      ['Access-Control-Allow-Origin', origin, ...withCredentials, ...exposed, ...VARY_ONLY]
    ])
  )
  const allowedHeaders = headers.length > 0 ? ['Access-Control-Allow-Headers', headers.join(', ')] : []
  const maxAgeSeconds = String(Math.floor(maxAge / 1000))

  const cors: Cors = {
    preflight({ origin, method }) {
      if (!answers.has(origin)) return null
      return [
        'Access-Control-Allow-Origin',
        origin,
        ...withCredentials,
        'Access-Control-Allow-Methods',
        method,
        ...allowedHeaders,
        'Access-Control-Max-Age',
        maxAgeSeconds,
        'Vary',
        'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'
      ]
    },
    answerHeaders: ({ headers }) => answers.get(headerValue(headers.kept, 'origin') ?? '') ?? VARY_ONLY,
    replaceIn(head, request) {
      const replaced = [...cors.answerHeaders(request)]
      const vary = headerValue(head, 'vary')
      if (vary !== undefined && /(?:^|,)\s*(?:origin|\*)\s*(?:,|$)/i.test(vary)) replaced.splice(-VARY_ONLY.length)
      for (let index = 0; index + 1 < head.length; index += 2) {
        const name = head[index] as string
        if (!/^access-control-/i.test(name)) replaced.push(name, head[index + 1] as string)
      }
      return replaced
    },
    isForeign({ headers }) {
      const origin = headerValue(headers.kept, 'origin')
      if (origin === undefined || answers.has(origin)) return false
      const { forwardedHost = headers.host } = headers
      return !URL.canParse(origin) || withoutDefaultPort(new URL(origin).host) !== withoutDefaultPort(forwardedHost)
    }
  }
  return cors
}

/** Null for a request that is not a preflight. */
export function preflightQuestion({ method, headers }: AdmittedRequest): PreflightQuestion | null {
  if (method !== 'OPTIONS') return null
  const origin = headerValue(headers.kept, 'origin')
  const asked = headerValue(headers.kept, 'access-control-request-method')
  return origin === undefined || asked === undefined || !METHODS.includes(asked) ? null : { origin, method: asked }
}

function withoutDefaultPort(authority: string): string {
  return authority.toLowerCase().replace(/:(?:80|443)?$/, '')
}
