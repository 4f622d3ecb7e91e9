/** The steps of an accepted socket: its PROXY header is read, it is counted, and then it is served
 *  by Node's server or by a lane in front of it. */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createReadBuffers } from './body/read-buffer.ts'
import { toBufferedSocket } from './buffered-socket.ts'
import type { Connections } from './connections.ts'
import { createPlainHttpAnswer } from './plain-on-tls.ts'
import type { ProxyProtocol } from './proxy-protocol/proxy-protocol.ts'

/** Takes a connection. Node's server takes any stream for one. */
export type Serve = (connection: Duplex) => void

export interface AcceptOptions {
  readonly server: Server
  readonly isTls: boolean
  readonly connections: Connections
  readonly proxyProtocol: Pick<ProxyProtocol, 'inFrontOf'>
  /** Puts a lane in front of Node's server. Null: no lane. */
  readonly inFront: ((serveByNode: Serve) => (socket: Socket) => void) | null
  /** Milliseconds to the first byte of a TLS connection. */
  readonly firstByteTimeout: number
}

/** Replaces Node's own listeners of accepted sockets. */
export function acceptConnections(options: AcceptOptions): void {
  const { server, isTls, connections, proxyProtocol, inFront, firstByteTimeout } = options
  const serveByNode = takeListener(server, isTls ? 'secureConnection' : 'connection')
  const serve = inFront === null ? serveByNode : inFront(serveByNode)
  if (isTls) {
    const startTls = createPlainHttpAnswer(takeListener(server, 'connection'), firstByteTimeout)
    const accept = (socket: Socket) => {
      connections.add(socket)
      startTls(socket)
    }
    server.on('connection', proxyProtocol.inFrontOf(accept))
    server.on('secureConnection', (socket: Socket) => {
      connections.addSecure(socket)
      serve(socket)
    })
    return
  }
  const buffers = createReadBuffers()
  const accept = (accepted: Socket) => {
    const socket = (inFront === null ? null : toBufferedSocket(accepted, buffers)) ?? accepted
    connections.add(socket)
    serve(socket)
  }
  server.on('connection', proxyProtocol.inFrontOf(accept))
}

function takeListener(server: Server, event: 'connection' | 'secureConnection'): Serve {
  const [listener] = server.listeners(event) as Serve[]
  if (listener === undefined) throw new Error('the HTTP server takes no connections')
  server.removeAllListeners(event)
  return (socket) => listener.call(server, socket)
}
