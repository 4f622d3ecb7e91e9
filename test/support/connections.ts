/** The server's end of connections, as the kernel counts them. */
import { readFileSync } from 'node:fs'
import { until } from './until.ts'

const LISTENING = '0A'

/** Connections to a port that a process of this machine holds open on the server's side. */
export function countConnections(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  let count = 0
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const [, address = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    // A connection that no process holds any more has no inode.
    if (address.endsWith(local) && state !== LISTENING && inode !== '0') count++
  }
  return count
}

/** Reading the table of the kernel takes milliseconds: it is read a few times a second. */
export function untilConnections(port: number, isSo: (count: number) => boolean): Promise<void> {
  return until(() => isSo(countConnections(port)), 200)
}
