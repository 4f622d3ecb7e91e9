/** The HTTP server behind both listeners: admission, one request at a time per connection,
 *  running requests, parse errors, and a close that loses no request. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ApiError } from '../errors.ts'
import { createServer as createPlainServer } from '../node-http.ts'
import { acceptConnections, type Serve } from './accept.ts'
import { Refusal } from './admit.ts'
import { createParseErrorAnswer } from './answer/parse-error-answer.ts'
import { type ClientError, maxHeadSize, NOT_HTTP, toClientError } from './answer/parse-errors.ts'
import { sendProblem } from './answer/send-problem.ts'
import { closeServer } from './close-server.ts'
import { type ClientConnection, OVERLOADED, watchConnections } from './connections.ts'
import type { Handler } from './handler.ts'
import type { CreateLane, Lane } from './lane.ts'
import { putLaneInFront } from './lane-in-front.ts'
import { type Address, listen } from './listen.ts'
import { isHealthPath } from './path/own-paths.ts'
import { createProxyProtocol } from './proxy-protocol/proxy-protocol.ts'
import { CLIENT_CLOSED_REQUEST } from './record.ts'
import { type AdmittedRequest, GatewayRequest } from './request.ts'
import type { ServerOptions } from './server-options.ts'
import { createTraceIds } from './trace-ids.ts'
import { createUpgrades } from './upgrades.ts'
import { isWebSocketHandshake } from './websocket-handshake.ts'

export interface GatewayServer {
  /** @param isShared Other processes of this gateway listen on the same port; the kernel
   *  distributes connections. */
  listen(host: string, port: number, isShared: boolean): Promise<Address>
  /** Applies from the next request on; a running request ends under the handler it started with. */
  use(handler: Handler): void
  /** Running requests and upgraded connections. */
  readonly active: number
  /** Open client connections. */
  readonly connections: number
  /** Takes no new connections, waits for running requests at most `timeoutMs`, then closes the
   *  rest. */
  close(timeoutMs: number): Promise<void>
}

const CONNECT = new ApiError('method_not_allowed', 'CONNECT and TRACE are not allowed.', { headers: { allow: '' } })

export function createGatewayServer(options: ServerOptions): GatewayServer {
  const { limits, tls, guard, createLane, onGeneralRequest } = options
  let { handler } = options
  const newIds = createTraceIds()
  /** The last request whose upgrade was declined. */
  let declined: IncomingMessage | null = null
  let active = 0

  const serverOptions = {
    IncomingMessage: GatewayRequest,
    maxHeaderSize: maxHeadSize(limits),
    headersTimeout: limits.headersTimeout,
    requestTimeout: options.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: Math.max(100, Math.min(1_000, limits.headersTimeout / 4)),
    // Admission checks Host and answers with a problem.
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
    // A request for any other protocol is served as if it had not asked for it. So is one on a
    // connection with unanswered requests.
    shouldUpgradeCallback(req: IncomingMessage) {
      const isAccepted = handler.upgrade !== null && !connections.of(req.socket).response && isWebSocketHandshake(req)
      if (!isAccepted) declined = req
      return isAccepted
    }
  }
  const server: Server = tls
    ? createTlsServer({ ...serverOptions, ...tls.serverOptions, handshakeTimeout: limits.headersTimeout })
    : createPlainServer(serverOptions)
  tls?.follow(server)
  // Node drops headers beyond its count silently; the size limit applies instead.
  server.maxHeadersCount = 0
  const { room, onSurplus = () => {} } = options
  const isTls = tls !== null
  let lane: Lane | null = null
  const closeIdle = () => {
    if (lane?.closeIdle() !== true) server.closeIdleConnections()
  }
  const peers = () => handler.peers
  const proxyProtocol = createProxyProtocol({
    timeoutMs: limits.headersTimeout,
    isRequiredOf: (address) => handler.peers.speaksProxyProtocol(address),
    onRefused: options.onProxyHeaderRefused ?? (() => {})
  })
  const announced = proxyProtocol.clientOf
  const connections = watchConnections({ server, closeIdle, limits, room, onSurplus, peers, isTls, announced })
  const answerParseError = createParseErrorAnswer({
    newRequestId: () => newIds().slice(0, 32),
    onWritten: (error) => options.onParseError(error.status)
  })

  const inFront = (serveByNode: Serve, create: CreateLane) => {
    const errorOf = (code: string) => toClientError({ code }, limits.uri) ?? NOT_HTTP
    const surroundings = { limits, guard, handler: () => handler, connections, answerParseError, errorOf }
    const front = putLaneInFront(serveByNode, { createLane: create, ...surroundings })
    lane = front.lane
    return front.serve
  }
  acceptConnections({
    server,
    isTls,
    connections,
    proxyProtocol,
    inFront: createLane && ((serveByNode) => inFront(serveByNode, createLane)),
    firstByteTimeout: limits.headersTimeout
  })

  const upgrades = createUpgrades({
    guard,
    handler: () => handler,
    admit: (req) => admit(req, connections.of(req.socket))
  })

  function onRequest(message: IncomingMessage, res: ServerResponse): void {
    const req = message as GatewayRequest
    // The last response of the connection was written: later requests are not served (RFC 9112,
    // section 9.6).
    if (!req.socket.writable) return
    // Node loses the bytes that arrived in one packet with a declined upgrade, so the connection
    // must end.
    if (declined === req) res.shouldKeepAlive = false
    declined = null
    const client = connections.of(req.socket)
    req.client = client
    if (client.response) {
      // RFC 9112, section 9.3.2: answers in order. Requests that have arrived wait; the rest stays
      // in the socket.
      if (client.waiting.push(res) === 1) holdBack(req.socket, client)
      req.socket.pause()
    } else begin(req, res, client)
  }

  function admit(req: IncomingMessage, client: ClientConnection): AdmittedRequest | Refusal {
    const admission = handler.admit(req, client)
    if (!client.isSurplus || admission instanceof Refusal || isHealthPath(admission.target.path)) return admission
    return new Refusal(admission.record, OVERLOADED)
  }

  /** Keeps the socket paused while requests wait; Node resumes it to read a complete body. */
  function holdBack(socket: Socket, client: ClientConnection): void {
    const onResume = () => {
      if (client.waiting.length === 0) socket.off('resume', onResume)
      else if (client.response?.req.complete) socket.pause()
    }
    socket.on('resume', onResume)
  }

  function begin(req: GatewayRequest, res: ServerResponse, client: ClientConnection): void {
    onGeneralRequest(client.laneReason)
    client.laneReason = 'kept'
    client.response = res
    client.isAnswered = false
    active++
    handler.enter()
    req.owner = handler
    res.on('close', onResponseClose)
    try {
      if (client.isSurplus) res.shouldKeepAlive = false
      const admission = admit(req, client)
      if (admission instanceof Refusal) refuse(req, res, admission)
      else {
        req.admitted = admission
        req.record = admission.record
        handler.serve(admission, req, res)
      }
    } catch (error) {
      guard.failed(res, error)
    }
  }

  function refuse(req: GatewayRequest, res: ServerResponse, { record, error }: Refusal): void {
    req.record = record
    handler.refuse(res, () => sendProblem(req, res, error, record.requestId))
  }

  function onResponseClose(this: ServerResponse): void {
    const req = this.req as GatewayRequest
    const { client, record } = req
    req.underWay?.onClientClose()
    record?.finished(this.writableFinished || this.headersSent ? this.statusCode : CLIENT_CLOSED_REQUEST)
    active--
    req.owner?.leave()
    if (client?.response !== this) return
    client.response = null
    client.isAnswered = !req.complete
    const next = client.waiting.shift()
    if (next === undefined) {
      client.onAnswered?.()
      return
    }
    if (client.waiting.length === 0) req.socket.resume()
    if (req.socket.destroyed || req.socket.writableEnded) client.waiting.length = 0
    else begin(next.req as GatewayRequest, next, client)
  }

  server.on('request', onRequest)
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    ;(req as GatewayRequest).continueWhenRead(res)
    onRequest(req, res)
  })
  server.on('upgrade', upgrades.add)
  server.on('clientError', (error: ClientError, socket: Socket) => {
    const problem = toClientError(error, limits.uri)
    if (problem === null) socket.destroy()
    else answerParseError(socket, connections.of(socket), problem)
  })
  server.on('connect', (_req: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy())
    answerParseError(socket, connections.of(socket), CONNECT)
  })

  const gateway: GatewayServer = {
    get active() {
      return active + upgrades.sockets.size + (lane?.active ?? 0)
    },
    get connections() {
      return connections.size
    },
    use(next) {
      handler = next
    },
    listen: (host, port, isShared) => listen(server, host, port, isShared),
    async close(timeoutMs) {
      tls?.stop()
      const closeAll = () => {
        proxyProtocol.close()
        server.closeAllConnections()
        lane?.close()
      }
      const open = {
        active: () => gateway.active,
        connections: () => connections.size + proxyProtocol.waiting,
        upgraded: upgrades.sockets,
        closeAll
      }
      await closeServer(server, timeoutMs, open)
    }
  }
  return gateway
}
