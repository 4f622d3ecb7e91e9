/** PROXY headers: a header that a load balancer writes is read as written and not a byte further;
 *  any other text is refused. Reading depends on no split, and waits for a bounded number of
 *  bytes. */
import fc from 'fast-check'
import { canonicalAddress } from '../../src/http/network.ts'
import { type HeaderReading, readProxyHeader } from '../../src/http/proxy-protocol/proxy-header.ts'
import { headerV1, headerV2 } from '../support/proxy-headers.ts'
import { apply, byte, bytes, type Edit, edits, type Fuzzer } from './fuzzer.ts'

export interface ProxyHeaderInput {
  /** Address in a header of this version; a header whose `isLocal` names none. */
  readonly version: 1 | 2
  readonly source: string
  readonly isLocal: boolean
  readonly hasCrc: boolean
  /** Latin-1: values of further fields of version 2. */
  readonly fields: readonly string[]
  readonly edits: readonly Edit[]
  /** Latin-1: the bytes behind the header. */
  readonly tail: string
}

/** Bytes that may be waited for, by version. */
const LONGEST_LINE = 107
const LONGEST = 4096
const SCRAPS = [
  '\r\n',
  '\n',
  ' ',
  '\0',
  '\x20',
  '\x21',
  '\x11',
  '\x31',
  'PROXY ',
  'TCP4',
  'UNKNOWN',
  '1',
  '0',
  ':',
  '.',
  'x',
  'x'.repeat(60)
]
const ipv4 = fc.tuple(byte(), byte(), byte(), byte()).map((parts) => parts.join('.'))
const ipv6 = fc
  .array(fc.nat(65_535), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((group) => group.toString(16)).join(':'))

type Read = (bytes: Buffer) => HeaderReading

export function createProxyHeaderFuzzer(read: Read = readProxyHeader): Fuzzer<ProxyHeaderInput> {
  return {
    name: 'proxy-headers',
    inputs: fc.record({
      version: fc.constantFrom(1, 2),
      source: fc.oneof(ipv4, ipv6),
      isLocal: fc.boolean(),
      hasCrc: fc.boolean(),
      fields: fc.array(bytes(20), { maxLength: 3 }),
      edits: edits(SCRAPS, 3),
      tail: fc.oneof(fc.constant('GET / HTTP/1.1\r\n\r\n'), bytes(40))
    }),
    check(input) {
      const header = writeHeader(input)
      const tail = Buffer.from(input.tail, 'latin1')
      const written = faultOfWritten(read(Buffer.concat([header, tail])), header.length, input)
      if (written !== null) return written
      const edited = Buffer.from(apply(header.toString('latin1'), input.edits), 'latin1')
      return faultOfSplits(read, Buffer.concat([edited, tail]))
    }
  }
}

function writeHeader({ version, source, isLocal, hasCrc, fields }: ProxyHeaderInput): Buffer {
  if (version === 1) return Buffer.from(isLocal ? 'PROXY UNKNOWN\r\n' : headerV1(source))
  const values = fields.map((value) => [0xe0, Buffer.from(value, 'latin1')] as const)
  return headerV2({ source, hasCrc, fields: values, ...(isLocal ? { command: 0x20 } : {}) })
}

function faultOfWritten(reading: HeaderReading, length: number, { source, isLocal }: ProxyHeaderInput): string | null {
  if (typeof reading === 'string') return `a written header is ${reading}`
  if (reading.length !== length) return `${reading.length} of ${length} bytes were read`
  const address = isLocal ? null : canonicalAddress(source)
  return reading.address === address ? null : `${reading.address} for ${address}`
}

/** Any prefix is incomplete until the result is known, and every longer one has the same. */
function faultOfSplits(read: Read, all: Buffer): string | null {
  const whole = JSON.stringify(read(all))
  const longest = all.indexOf('PROXY ') === 0 ? LONGEST_LINE : LONGEST
  let isKnown = false
  for (let end = 1; end <= all.length; end++) {
    const part = read(all.subarray(0, end))
    if (part === 'incomplete') {
      if (isKnown) return `waits again after ${end} bytes`
      if (end >= longest) return `waits for more than ${end} bytes`
      continue
    }
    if (JSON.stringify(part) !== whole) return `${JSON.stringify(part)} after ${end} bytes, then ${whole}`
    if (part !== 'invalid' && !isKnown && part.length !== end) return `took ${end} bytes for a header of ${part.length}`
    isKnown = true
  }
  return null
}
