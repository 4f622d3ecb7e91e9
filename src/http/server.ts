/** The socket side of the edge: one HTTP server that lets requests in through the front door, keeps account of those under
 *  way, and closes without losing any. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { GatewayConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import type { Parts } from '../gateway/parts.ts'
import type { ReverseProxy } from '../proxy/proxy.ts'
import { isWebSocketHandshake } from '../proxy/websocket.ts'
import type { FrontDoor } from './admit.ts'
import { createLastWords } from './answer/parse-error-answer.ts'
import { type ClientError, maxHeadSize, toClientError } from './answer/parse-errors.ts'
import { sendProblem, writeProblem } from './answer/send-problem.ts'
import { limitConnections, responseBegan, responseIsOver, responseUnderWay } from './connections.ts'
import type { Lifecycle } from './lifecycle.ts'
import { listen } from './listen.ts'
import { isHealthPath, isOwnPath } from './path/own-paths.ts'
import { contextOf, type RequestContext, setContext } from './record.ts'
import { loadTls, type TlsFiles } from './tls-files.ts'
import { createTraceIds } from './trace-ids.ts'

const NO_HEADERS = Object.freeze({})
/** Fastify refuses a QUERY whose body has no type, and what is none of ours may have any or none. */
const ANY_TYPE = Object.freeze({ 'content-type': 'application/octet-stream' })

export interface Listener {
  /** @param isShared Other processes of this gateway listen on the same port; the kernel deals connections out. */
  listen(host: string, port: number, isShared: boolean): Promise<{ host: string; port: number }>
  /** No new connections; waits for what is under way, at most `timeout` milliseconds, then closes the rest. */
  close(timeout: number): Promise<void>
  /** Requests and upgraded connections under way. */
  readonly active: number
  /** From the next request on; what is under way ends as it began. */
  serve(stage: EdgeStage): void
}

/** What a reload replaces: everything that knows routes, keys and upstreams. */
export interface EdgeStage {
  readonly frontDoor: FrontDoor
  readonly proxy: ReverseProxy
  /** Fastify's. */
  readonly handler: (req: IncomingMessage, res: ServerResponse) => void
}

export interface ListenerOptions {
  readonly config: GatewayConfig
  readonly stage: EdgeStage
  readonly lifecycle: Lifecycle
  readonly parts: Pick<Parts, 'accessLog' | 'metrics' | 'log' | 'strangers'>
}

const NO_UPGRADE = new ApiError('invalid_request', 'The gateway itself speaks no WebSocket.')
const TOO_SLOW = new ApiError('request_timeout', 'The request body took longer than server.limits.bodyIdleTimeout.')
const CONNECT = new ApiError('method_not_allowed', 'CONNECT and TRACE are never allowed.', { headers: { allow: '' } })

export function createListener({ config, stage: first, lifecycle, parts }: ListenerOptions): Listener {
  const { limits } = config.server
  const { strangers } = parts
  let stage = first
  const newIds = createTraceIds()
  const sayLast = createLastWords({
    newRequestId: () => newIds().slice(0, 32),
    onSaid: (error) => parts.metrics.requestDone('none', error.status, 0)
  })
  const upgraded = new Set<Duplex>()
  /** The request whose wish to change protocols was not granted just now. */
  let declined: IncomingMessage | null = null
  let active = 0
  let tls: TlsFiles | undefined

  function finish(context: RequestContext, url: string, status: number): void {
    active--
    parts.accessLog.write(context, url, status)
    parts.metrics.requestDone(context.route?.path ?? 'none', status, (performance.now() - context.startedAt) / 1000)
  }

  function onResponseClose(this: ServerResponse): void {
    const context = contextOf(this)
    responseIsOver(this.req.socket, this)
    context.underWay?.onClientClose()
    // nginx's word for a client that left before the answer.
    finish(context, this.req.url ?? '', this.writableFinished || this.headersSent ? this.statusCode : 499)
  }

  function onRequest(req: IncomingMessage, res: ServerResponse): void {
    // Node loses what came in one packet with such a request: nothing may be answered in the place of what was lost.
    if (declined === req) res.shouldKeepAlive = false
    declined = null
    const { context, error } = stage.frontDoor.admit(req)
    active++
    setContext(req, context)
    setContext(res, context)
    responseBegan(req.socket, res)
    res.on('close', onResponseClose)
    if (error !== null) {
      context.reason = error.code
      strangers.add(res, () => sendProblem(req, res, error, context))
      return
    }
    const { target } = context
    if (target === null || isOwnPath(target.path)) {
      context.reason = 'own'
      context.isGranted = true
      if (lifecycle.isDraining) res.setHeader('connection', 'close')
      if (target === null) {
        // OPTIONS * asks about the server as a whole (RFC 9110, section 9.3.7).
        res.writeHead(204, { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' }).end()
        return
      }
      req.url = target.path + target.query
      giveUpOnSlowBody(req, res, context)
      if (!isHealthPath(target.path)) {
        const { handler } = stage
        strangers.add(res, () => handler(req, res))
        return
      }
    } else {
      // Fastify shall route by nothing and parse nothing of what is not for us.
      req.url = '/'
      req.headers = req.method === 'QUERY' ? ANY_TYPE : NO_HEADERS
    }
    stage.handler(req, res)
  }

  /** Own endpoints read a whole body: it has this long to come. */
  function giveUpOnSlowBody(req: IncomingMessage, res: ServerResponse, context: RequestContext): void {
    if (context.headers?.contentLength === null && !context.headers.isChunked) return
    const timer = setTimeout(() => {
      if (req.complete) return
      context.reason = TOO_SLOW.code
      context.isGranted = false
      sendProblem(req, res, TOO_SLOW, context)
    }, limits.bodyIdleTimeout)
    res.once('close', () => clearTimeout(timer))
  }

  function onUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { context, error } = stage.frontDoor.admit(req)
    const url = req.url ?? ''
    active++
    upgraded.add(socket)
    socket.on('error', () => socket.destroy())
    const onEnd = (status: number) => {
      if (!upgraded.delete(socket)) return
      finish(context, url, status)
    }
    if (error !== null || context.target === null || isOwnPath(context.target.path)) {
      const refusal = error ?? NO_UPGRADE
      context.reason = refusal.code
      writeProblem(socket, refusal, context.requestId)
      onEnd(refusal.status)
      return
    }
    stage.proxy.upgrade(req, socket, head, context, onEnd)
  }

  const options = {
    handshakeTimeout: limits.headersTimeout,
    maxHeaderSize: maxHeadSize(limits),
    headersTimeout: limits.headersTimeout,
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: Math.max(100, Math.min(1_000, limits.headersTimeout / 4)),
    // Checked by the front door, which answers in our own words.
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
    // Any other protocol asked for is not spoken: the request is served as if it had not been asked for. So is one that
    // would take the connection away from under answers that are still to come.
    shouldUpgradeCallback(req: IncomingMessage) {
      const isAccepted = responseUnderWay(req.socket) === null && isWebSocketHandshake(req)
      if (!isAccepted) declined = req
      return isAccepted
    }
  }
  if (config.server.tls) tls = loadTls(config.server.tls, parts.log)
  const server: Server = tls
    ? createTlsServer({ ...options, ...tls.context() }, onRequest)
    : createServer(options, onRequest)
  tls?.follow(server)
  // Node would leave out what exceeds its count without a word; the size limit is the one that counts.
  server.maxHeadersCount = 0
  server.on('upgrade', onUpgrade)
  server.on('clientError', (error: ClientError, socket: Socket) => {
    const problem = toClientError(error, limits.uri)
    if (problem === null) socket.destroy()
    else sayLast(socket, problem)
  })
  server.on('connect', (_req: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy())
    sayLast(socket, CONNECT)
  })
  limitConnections(server, { limits, peerOf: (socket) => stage.frontDoor.peers.of(socket), isTls: tls !== undefined })

  return {
    get active() {
      return active
    },
    serve(next) {
      stage = next
    },
    listen: (host, port, isShared) => listen(server, host, port, isShared),
    async close(timeout) {
      tls?.stop()
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      const deadline = performance.now() + timeout
      while (active > 0 && performance.now() < deadline) {
        server.closeIdleConnections()
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
      for (const socket of upgraded) socket.destroy()
      server.closeAllConnections()
      await closed
    }
  }
}
