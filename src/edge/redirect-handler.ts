/** Serves a request of the plain port: a redirect to https, or a refusal. Nothing that arrives here
 *  in clear reaches an upstream or an own endpoint other than the health paths. */
import { ApiError } from '../errors.ts'
import { sendProblem, sendRedirect } from '../http/answer/send-problem.ts'
import type { Handler } from '../http/handler.ts'
import { isHttps } from '../http/headers/hsts.ts'
import { isHost } from '../http/headers/request-headers.ts'
import { isHealthPath } from '../http/path/own-paths.ts'
import type { AdmittedRequest } from '../http/request.ts'

export interface RedirectDeps {
  /** Admits the requests, and answers the health paths. */
  readonly edge: Handler
  /** Tells whether a certificate covers a host. */
  readonly isCovered: (host: string) => boolean
  /** Port of the addresses that clients are sent to. */
  readonly httpsPort: number
}

const PLAIN = new ApiError(
  'invalid_request',
  'This port speaks plain HTTP and redirects GET and HEAD only. Send the request to https.'
)
const UNKNOWN_HOST = new ApiError('invalid_request', 'No certificate of this gateway covers the Host of the request.')
const LOOP = new ApiError('invalid_request', 'The request came by https to the port that redirects to https.')
const HTTPS = 443

export function createRedirectHandler({ edge, isCovered, httpsPort }: RedirectDeps): Handler {
  const port = httpsPort === HTTPS ? '' : `:${httpsPort}`

  function locationOf(request: AdmittedRequest): string | ApiError {
    const { method, target, headers } = request
    if (method !== 'GET' && method !== 'HEAD') return PLAIN
    if (isHttps(request)) return LOOP
    const named = headers.forwardedHost ?? headers.host
    // Admission checks Host only, and text such as "evil.example/.shop.example" names another host.
    if (!isHost(named)) return UNKNOWN_HOST
    const host = named.replace(/:\d*$/, '')
    return isCovered(host.replace(/^\[|\]$/g, ''))
      ? `https://${host}${port}${target.path}${target.query}`
      : UNKNOWN_HOST
  }

  return {
    admit: edge.admit,
    peers: edge.peers,
    serve(request, req, res) {
      if (isHealthPath(request.target.path)) {
        edge.serve(request, req, res)
        return
      }
      const { record } = request
      const location = locationOf(request)
      if (typeof location === 'string') {
        record.granted('own', null, null)
        sendRedirect(req, res, location, record.requestId)
      } else {
        record.refused(location.code)
        sendProblem(req, res, location, record.requestId)
      }
    },
    ordinary: () => null,
    upgrade: null,
    refuse: edge.refuse,
    enter: edge.enter,
    leave: edge.leave
  }
}
