/** Opens connections to WeChat, through the outbound proxy where one is configured. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { LookupFunction, Socket } from 'node:net'
import type { buildConnector, Pool } from 'undici'

/** No connection opened, so nothing was sent. `reason` holds fixed words and system error codes
 *  only. */
export class ConnectFailure extends Error {
  readonly reason: string
  /** True when the outbound proxy failed or refused. */
  readonly isOfProxy: boolean

  constructor(reason: string, isOfProxy: boolean) {
    super(reason)
    this.name = 'ConnectFailure'
    this.reason = reason
    this.isOfProxy = isOfProxy
  }
}

type Undici = Pick<typeof import('undici'), 'buildConnector' | 'Pool'>

export interface ConnectorOptions {
  readonly undici: Undici
  /** `http://[user:password@]host[:port]`; null for direct connections. */
  readonly proxy: string | null
  /** For each step: to the proxy, through it, and TLS. */
  readonly timeoutMs: number
  /** Default: the resolver of the system. With a proxy it resolves the proxy's name only. */
  readonly lookup?: LookupFunction
}

export interface Connector {
  /** Fails with a ConnectFailure. */
  readonly connect: buildConnector.connector
  close(): Promise<void>
}

export function createConnector({ undici, proxy, timeoutMs, lookup }: ConnectorOptions): Connector {
  const open = undici.buildConnector({ timeout: timeoutMs, ...(lookup ? { lookup } : {}) })
  // A connection outlives the request that opens it: it must not hold its trace.
  const outside = AsyncLocalStorage.snapshot()
  const connect: buildConnector.connector = (options, callback) => outside(open, options, callback)
  const direct: buildConnector.connector = (options, callback) =>
    connect(options, (...[error, socket]) => {
      if (socket) callback(null, socket)
      else callback(new ConnectFailure(codeOf(error), false), null)
    })
  if (proxy === null) return { connect: direct, async close() {} }
  const tunnels = createTunnels(new undici.Pool(new URL(proxy).origin, { connect }), new URL(proxy), timeoutMs)
  return {
    connect(options, callback) {
      tunnels.open(`${options.hostname}:${options.port || defaultPort(options.protocol)}`).then(
        (socket) => {
          if (options.protocol === 'https:') direct({ ...options, httpSocket: socket }, callback)
          else callback(null, socket)
        },
        (error) => callback(error, null)
      )
    },
    close: () => tunnels.close()
  }
}

/** Tunnels through an HTTP proxy (RFC 9110, section 9.3.6). */
function createTunnels(pool: Pool, proxy: URL, timeoutMs: number) {
  const authorization = basicCredentials(proxy)
  return {
    async open(authority: string): Promise<Socket> {
      const headers = {
        host: authority,
        ...(authorization === null ? {} : { 'proxy-authorization': authorization })
      }
      const signal = AbortSignal.timeout(timeoutMs)
      const answer = await pool.connect({ path: authority, headers, signal }).catch((error) => {
        throw new ConnectFailure(`the proxy cannot be reached: ${codeOf(error)}`, true)
      })
      // The Duplex of undici's type is the socket of the connection.
      const socket = answer.socket as Socket
      if (answer.statusCode >= 200 && answer.statusCode < 300) return socket
      socket.on('error', () => {}).destroy()
      if (answer.statusCode === 407) throw new ConnectFailure('the proxy refuses its user and password (407)', true)
      throw new ConnectFailure(`the proxy refuses the connection (${answer.statusCode})`, true)
    },
    close: () => pool.destroy()
  }
}

/** RFC 7617. Null for a proxy without credentials. */
function basicCredentials({ username, password }: URL): string | null {
  if (username === '' && password === '') return null
  const text = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return `Basic ${Buffer.from(text).toString('base64')}`
}

function defaultPort(protocol: string): string {
  return protocol === 'https:' ? '443' : '80'
}

/** The system's code of an error, which holds no part of a request. */
export function codeOf(error: unknown): string {
  if (error instanceof ConnectFailure) return error.reason
  if (error instanceof Error && error.name === 'TimeoutError') return 'timeout'
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'connection failed'
}

/** True for a throw of the gateway's own code. Errors of undici and of sockets have a code, except
 *  some of undici's parser. */
export function isOwnFault(error: unknown): boolean {
  if (error instanceof ConnectFailure) return false
  if (error instanceof Error && error.name === 'HTTPParserError') return false
  return !(error instanceof Error && 'code' in error && typeof error.code === 'string')
}
