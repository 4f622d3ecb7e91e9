/** Serves a request of the edge: Fastify's endpoints serve own paths, the proxy every other
 *  path. */
import type { ServerResponse } from 'node:http'
import { ApiError } from '../errors.ts'
import type { Admit } from '../http/admit.ts'
import { sendProblem, writeProblem } from '../http/answer/send-problem.ts'
import type { Handler } from '../http/handler.ts'
import type { Lifecycle } from '../http/lifecycle.ts'
import type { Peers } from '../http/network.ts'
import { isHealthPath, isOwnPath, SERVER_AS_A_WHOLE } from '../http/path/own-paths.ts'
import type { AdmittedRequest, GatewayRequest } from '../http/request.ts'
import type { UnverifiedQueue } from '../http/unverified-queue.ts'
import type { Routing } from '../proxy/catch-all.ts'
import type { ReverseProxy } from '../proxy/proxy.ts'

export interface EdgeHandlerDeps {
  readonly admit: Admit
  readonly peers: Peers
  /** Serves own endpoints. */
  readonly own: Routing
  /** Serves every other path. */
  readonly forward: Routing
  /** No route covers "/", so the path is an own one. */
  readonly ownsRoot: boolean
  readonly proxy: Pick<ReverseProxy, 'handle' | 'upgrade'>
  readonly lifecycle: Pick<Lifecycle, 'isDraining'>
  readonly unverified: UnverifiedQueue
  /** Milliseconds for the whole body of a request to an own endpoint. */
  readonly bodyTimeout: number
  /** Counts the requests that started under this configuration. */
  readonly underWay: { enter(): void; leave(): void }
}

const NO_UPGRADE = new ApiError('invalid_request', 'The endpoints of the gateway do not accept WebSocket connections.')
const TOO_SLOW = new ApiError('request_timeout', 'The request body took longer than server.limits.bodyIdleTimeout.')

export function createEdgeHandler(deps: EdgeHandlerDeps): Handler {
  const { own, forward, ownsRoot, proxy, lifecycle, unverified, bodyTimeout, underWay } = deps

  function isOwn(path: string): boolean {
    return isOwnPath(path) || (ownsRoot && path === '/')
  }

  function serveOwn({ target, headers, record }: AdmittedRequest, req: GatewayRequest, res: ServerResponse): void {
    record.granted('own', null, null)
    if (lifecycle.isDraining) res.setHeader('connection', 'close')
    if (target === SERVER_AS_A_WHOLE) {
      res.writeHead(204, { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' }).end()
      return
    }
    if (headers.contentLength !== null || headers.isChunked) limitBodyTime(req, res)
    // A load balancer gets its answer however many requests wait.
    if (isHealthPath(target.path)) own(req, res)
    else unverified.add(res, () => own(req, res))
  }

  function limitBodyTime(req: GatewayRequest, res: ServerResponse): void {
    const timer = setTimeout(() => {
      if (req.complete) return
      req.record?.refused(TOO_SLOW.code)
      sendProblem(req, res, TOO_SLOW, req.record?.requestId ?? '')
    }, bodyTimeout)
    res.once('close', () => clearTimeout(timer))
  }

  return {
    admit: deps.admit,
    peers: deps.peers,
    serve(request, req, res) {
      const { target } = request
      if (target === SERVER_AS_A_WHOLE || isOwn(target.path)) serveOwn(request, req, res)
      else forward(req, res)
    },
    ordinary: ({ target }) => (isOwn(target.path) ? null : proxy.handle),
    upgrade(request, socket, head, onEnd) {
      const { target, record } = request
      if (!isOwn(target.path)) {
        proxy.upgrade(request, socket, head, onEnd)
        return
      }
      record.refused(NO_UPGRADE.code)
      writeProblem(socket, NO_UPGRADE, record.requestId)
      onEnd(NO_UPGRADE.status)
    },
    refuse: (res, send) => unverified.add(res, send),
    enter: () => underWay.enter(),
    leave: () => underWay.leave()
  }
}
