/** The HTTP server of both listeners with a handler of the test. */
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { createAdmit } from '../../src/http/admit.ts'
import type { PairFiles } from '../../src/http/certificate-pair.ts'
import { createGuard } from '../../src/http/guard.ts'
import { createHeaderNames } from '../../src/http/headers/header-names.ts'
import { createPeers } from '../../src/http/network.ts'
import type { RequestRecord } from '../../src/http/record.ts'
import type { AdmittedRequest, GatewayRequest } from '../../src/http/request.ts'
import { createGatewayServer, type GatewayServer } from '../../src/http/server.ts'
import { loadTls } from '../../src/http/tls-files.ts'
import type { Teardown } from './listen.ts'

export interface TestServer {
  readonly server: GatewayServer
  readonly port: number
  readonly records: readonly RequestRecord[]
  readonly errors: readonly object[]
  /** Requests that began and have not ended. */
  readonly underWay: () => number
}

export interface TestServerOptions {
  readonly serve: (req: GatewayRequest, res: ServerResponse, request: AdmittedRequest) => void
  readonly upgrade?: (socket: Duplex) => void
  readonly trustedProxies?: readonly string[]
  readonly tls?: PairFiles | readonly PairFiles[]
  /** Messages of the TLS files. */
  readonly onTlsLog?: (message: string) => void
}

export async function startServer(t: Teardown, options: TestServerOptions): Promise<TestServer> {
  const { upgrade } = options
  const onTlsLog = (_fields: object, message: string) => options.onTlsLog?.(message)
  const records: RequestRecord[] = []
  const errors: object[] = []
  let underWay = 0
  const limits = {
    uri: 8_192,
    headers: 16_384,
    headersTimeout: 5_000,
    keepAliveTimeout: 5_000,
    writeIdleTimeout: 5_000,
    connectionsPerPeer: 100
  }
  const peers = createPeers({ trusted: options.trustedProxies ?? [] })
  const server = createGatewayServer({
    limits,
    requestTimeout: 0,
    tls: options.tls ? loadTls([options.tls].flat(), { info: onTlsLog, warn: onTlsLog }, () => {}) : null,
    guard: createGuard({ error: (fields) => void errors.push(fields) }),
    onParseError() {},
    createLane: null,
    onGeneralRequest() {},
    handler: {
      admit: createAdmit({
        limits,
        names: createHeaderNames([]),
        peers,
        observer: { finished: (record) => void records.push(record) }
      }),
      peers,
      serve: (request, req, res) => options.serve(req, res, request),
      ordinary: () => null,
      upgrade: upgrade ? (_request, socket) => upgrade(socket) : null,
      refuse: (_res, send) => send(),
      enter: () => void underWay++,
      leave: () => void underWay--
    }
  })
  const { port } = await server.listen('127.0.0.1', 0, false)
  t.teardown(() => server.close(0))
  return { server, port, records, errors, underWay: () => underWay }
}
