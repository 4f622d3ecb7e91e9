/** The keys with which the sandbox signs: platform certificates, and the public key of WeChat
 *  Pay. */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

export interface PlatformKey {
  /** In upper-case hex. */
  readonly serial: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  /** In PEM. */
  readonly certificate: string
  /** Milliseconds since the epoch. */
  readonly from: number
  readonly to: number
}

const YEAR_MS = 366 * 86_400_000
const DAY_MS = 86_400_000

/** A self-signed certificate and its key. */
export function createPlatformKey(now: number): PlatformKey {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const [from, to] = [now - DAY_MS, now + 5 * YEAR_MS]
  const serial = randomBytes(20)
  // A positive number without a leading zero.
  serial[0] = 0x5d
  const name = sequence(set(sequence(oid('55 04 03'), tlv(0x0c, Buffer.from('wxgate sandbox')))))
  const algorithm = sequence(oid('2a 86 48 86 f7 0d 01 01 0b'), tlv(0x05))
  const content = sequence(
    tlv(0xa0, tlv(0x02, Buffer.from([2]))),
    tlv(0x02, serial),
    algorithm,
    name,
    sequence(utcTime(from), utcTime(to)),
    name,
    publicKey.export({ type: 'spki', format: 'der' })
  )
  const signature = sign('RSA-SHA256', content, privateKey)
  const der = sequence(content, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  const certificate = ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n')
  return { serial: serial.toString('hex').toUpperCase(), privateKey, publicKey, certificate, from, to }
}

/** One element of DER (ITU-T X.690). */
function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...head]), content])
}

const sequence = (...parts: readonly Buffer[]) => tlv(0x30, ...parts)
const set = (...parts: readonly Buffer[]) => tlv(0x31, ...parts)
const oid = (hex: string) => tlv(0x06, Buffer.from(hex.replaceAll(' ', ''), 'hex'))

/** Seconds, for years before 2050 (RFC 5280, section 4.1.2.5.1). */
function utcTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
  return tlv(0x17, Buffer.from(text.slice(2).replace(/[-:T]/g, '')))
}
