/** The plain port that redirects to https. */
import type { GatewayConfig } from '../config/config.ts'
import { createRedirectHandler } from '../edge/redirect-handler.ts'
import { coversHost } from '../http/certificate-names.ts'
import type { ConnectionRoom } from '../http/connection-room.ts'
import type { Handler } from '../http/handler.ts'
import type { Address } from '../http/listen.ts'
import { createGatewayServer } from '../http/server.ts'
import type { ServerOptions } from '../http/server-options.ts'
import type { TlsFiles } from '../http/tls-files.ts'

/** A redirect needs no upstream: this is enough for many, and leaves the descriptors to the
 *  edge. */
const ROOM: ConnectionRoom = { served: 256, refused: 8 }
/** Milliseconds to the last byte of a request. */
const REQUEST_TIMEOUT = 15_000

export interface RedirectListener {
  listen(isShared: boolean): Promise<Address>
  /** @param edge The handler of the edge in the generation in force. */
  use(edge: Handler): void
  close(timeoutMs: number): Promise<void>
}

type Needs = Pick<ServerOptions, 'guard' | 'onParseError' | 'onProxyHeaderRefused'> & {
  readonly edge: Handler
  readonly tls: Pick<TlsFiles, 'certificates'> | null
}

/** Null where the configuration has none. */
export function createRedirectListener(
  { host, limits, redirectHttp }: GatewayConfig['server'],
  { edge, tls, ...options }: Needs
): RedirectListener | null {
  if (redirectHttp === null || tls === null) return null
  const { port, httpsPort } = redirectHttp
  const isCovered = (name: string) => tls.certificates.some(({ names }) => coversHost(names, name))
  const handlerOf = (edge: Handler) => createRedirectHandler({ edge, isCovered, httpsPort })
  const server = createGatewayServer({
    ...options,
    limits,
    requestTimeout: REQUEST_TIMEOUT,
    tls: null,
    room: ROOM,
    handler: handlerOf(edge),
    createLane: null,
    onGeneralRequest() {}
  })
  return {
    listen: (isShared) => server.listen(host, port, isShared),
    use: (next) => server.use(handlerOf(next)),
    close: server.close
  }
}
