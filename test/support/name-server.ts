/** A name server on UDP that answers from a table, and is silent for the names that a test
 *  chooses. */
import { createSocket } from 'node:dgram'
import type { AddressInfo } from 'node:net'
import type { Teardown } from './listen.ts'

/** Addresses with their time to live in seconds; `silence` for no answer. Other names do not
 *  exist. */
export type Zone = Record<string, { readonly addresses: readonly string[]; readonly ttl: number } | 'silence'>

export interface NameServer {
  /** 127.0.0.1:port */
  readonly address: string
  readonly zone: Zone
  /** Names that were queried for an IPv4 address, in order. */
  readonly asked: readonly string[]
}

const TYPE_A = 1
const NXDOMAIN = 3

export async function startNameServer(t: Teardown, zone: Zone): Promise<NameServer> {
  const asked: string[] = []
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => {
    const { name, type, question } = readQuestion(query)
    if (type === TYPE_A) asked.push(name)
    const entry = zone[name]
    if (entry === 'silence') return
    const addresses = type === TYPE_A ? (entry?.addresses ?? []) : []
    const header = Buffer.alloc(12)
    query.copy(header, 0, 0, 2)
    header.writeUInt16BE(0x8180 | (entry ? 0 : NXDOMAIN), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(addresses.length, 6)
    const records = addresses.map((ip) => {
      const record = Buffer.alloc(16)
      // A pointer to the name of the question.
      record.writeUInt16BE(0xc00c, 0)
      record.writeUInt16BE(TYPE_A, 2)
      record.writeUInt16BE(1, 4)
      record.writeUInt32BE(entry?.ttl ?? 0, 6)
      record.writeUInt16BE(4, 10)
      record.set(ip.split('.').map(Number), 12)
      return record
    })
    socket.send(Buffer.concat([header, question, ...records]), port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise<void>((resolve) => socket.close(() => resolve())))
  const { port } = socket.address() as AddressInfo
  return { address: `127.0.0.1:${port}`, zone, asked }
}

function readQuestion(query: Buffer): { name: string; type: number; question: Buffer } {
  const labels: string[] = []
  let offset = 12
  for (let length = query[offset] ?? 0; length > 0; length = query[offset] ?? 0) {
    labels.push(query.toString('latin1', offset + 1, offset + 1 + length))
    offset += length + 1
  }
  const end = offset + 5
  return {
    name: labels.join('.').toLowerCase(),
    type: query.readUInt16BE(offset + 1),
    question: query.subarray(12, end)
  }
}
