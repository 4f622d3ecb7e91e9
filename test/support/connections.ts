/** The server's end of connections within this process. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import type { Teardown } from './listen.ts'

/** Counts from now on: how many connections a port of this process holds open. */
export function countConnections(t: Teardown): (port: number) => number {
  const sockets = new Set<Socket>()
  const onSocket = (message: unknown) => {
    const { socket } = message as { socket: Socket }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  subscribe('net.server.socket', onSocket)
  t.teardown(() => unsubscribe('net.server.socket', onSocket))
  return (port) => [...sockets].filter((socket) => socket.localPort === port).length
}
