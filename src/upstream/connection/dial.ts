/** Opens sockets to one target: TCP, TLS or a Unix socket. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { connect as connectTcp, isIP, type LookupFunction, type OnReadOpts, type Socket } from 'node:net'
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls'
import type { TlsClientConfig } from '../../config/config.ts'

/** After this much silence the kernel checks that the other side still exists. */
const KEEP_ALIVE_MS = 60_000

export interface DialOptions {
  readonly origin: URL
  readonly tls: TlsClientConfig
  /** Resolves the name of the origin at each connection. */
  readonly lookup: LookupFunction
}

export interface Dialer {
  /** Name of the event of an open connection. */
  readonly readyEvent: 'connect' | 'secureConnect'
  /** Tries the addresses of a name in turn (RFC 8305). Throws for options that Node refuses.
   *  @param onread Reads into one buffer; null: the socket emits `data`. */
  dial(onread: OnReadOpts | null): Socket
}

export function createDialer(options: DialOptions): Dialer {
  const { readyEvent, dial } = dialerOf(options)
  // A connection outlives the request that opens it: it must not hold, or run in, its trace.
  const outside = AsyncLocalStorage.snapshot()
  return { readyEvent, dial: (onread) => outside(dial, onread) }
}

function dialerOf({ origin, tls, lookup }: DialOptions): Dialer {
  const { protocol } = origin
  const host = origin.hostname.replace(/^\[|\]$/g, '')
  const keepAlive = { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }
  if (protocol === 'unix:') {
    const path = decodeURIComponent(origin.pathname)
    return { readyEvent: 'connect', dial: (onread) => connectTcp({ path, ...reading(onread) }) }
  }
  if (protocol === 'http:') {
    const options = { host, port: Number(origin.port || 80), lookup, autoSelectFamily: true, ...keepAlive }
    return { readyEvent: 'connect', dial: (onread) => connectTcp({ ...options, ...reading(onread) }) }
  }
  const options = { host, port: Number(origin.port || 443), lookup, autoSelectFamily: true, ...keepAlive }
  return { readyEvent: 'secureConnect', dial: createTlsDial(host, options, tls) }
}

function createTlsDial(host: string, options: object, tls: TlsClientConfig): Dialer['dial'] {
  let secureContext: SecureContext | undefined
  // RFC 6066, section 3: an address is no server name.
  const servername = tls.serverName ?? (isIP(host) === 0 ? host : '')
  /** Saves the handshake's certificates when a later connection resumes it. */
  let session: Buffer | undefined
  return (onread) => {
    // Read at the first connection: unreadable keys are a fault of one upstream, not of the start.
    secureContext ??= createSecureContext({
      ...(tls.ca === null ? {} : { ca: tls.ca }),
      ...(tls.cert === null ? {} : { cert: tls.cert }),
      ...(tls.key === null ? {} : { key: tls.key })
    })
    const socket: TLSSocket = connectTls({
      ...options,
      secureContext,
      servername,
      rejectUnauthorized: !tls.insecureSkipVerify,
      ALPNProtocols: ['http/1.1'],
      ...(session === undefined ? {} : { session }),
      ...reading(onread)
    })
    socket.on('session', (ticket) => {
      session = ticket
    })
    socket.on('error', () => {
      session = undefined
    })
    return socket
  }
}

function reading(onread: OnReadOpts | null) {
  return onread === null ? {} : { onread }
}
