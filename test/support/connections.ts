/** The server's end of connections, as the kernel counts them. */
import { readFileSync } from 'node:fs'
import { until } from './until.ts'

const LISTENING = '0A'

/** Connections to a port that a process of this machine holds open on the server's side. */
export function countConnections(port: number): number {
  const local = port.toString(16).toUpperCase().padStart(4, '0')
  // Fields of a line: number, local address, remote address, state, queues, timer, retransmits,
  // uid, timeout, inode. A connection that no process holds any more has the inode 0.
  const lines = new RegExp(`^ *\\d+: \\w+:${local} \\S+ (\\w+)(?: +\\S+){5} +(\\d+)`, 'gm')
  let count = 0
  for (const [, state, inode] of readFileSync('/proc/net/tcp', 'latin1').matchAll(lines))
    if (state !== LISTENING && inode !== '0') count++
  return count
}

/** Reading the table of the kernel takes milliseconds: it is read a few times a second. */
export function untilConnections(port: number, isSo: (count: number) => boolean): Promise<void> {
  return until(() => isSo(countConnections(port)), 200)
}
