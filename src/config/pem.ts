/** Checks certificates and keys before the first connection. */
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto'
import { chainGapOf } from '../crypto/certificate-chain.ts'

export type PemPart = 'ca' | 'cert' | 'key'

/** The faults of each part that is present. */
export function pemFaults(pem: Readonly<Partial<Record<PemPart, string | undefined>>>): [PemPart, string][] {
  const faults: [PemPart, string][] = []
  const read = <T>(part: PemPart, parse: (text: string) => T | string): T | null => {
    const text = pem[part]
    if (text === undefined) return null
    const parsed = text.includes('-----BEGIN ') ? parse(text) : 'must hold a PEM block'
    if (typeof parsed !== 'string') return parsed
    faults.push([part, parsed])
    return null
  }
  read('ca', readCertificate)
  const certificate = read('cert', readCertificate)
  const key = read('key', readKey)
  if (certificate && key && !certificate.checkPrivateKey(key))
    faults.push(['key', 'does not belong to the certificate'])
  return faults
}

/** The gap of a certificate chain in PEM; null for a chain that clients accept, and for a
 *  self-signed certificate. */
export function chainGap(text: string): string | null {
  const gap = chainGapOf(text)
  if (gap?.kind === 'unordered') return 'the certificates are not in order: each must be issued by the one below it'
  if (gap?.kind !== 'incomplete') return null
  return `the chain lacks its intermediate certificate: Android and WeChat refuse it; add the certificate of "${gap.issuer}"`
}

function readCertificate(text: string): X509Certificate | string {
  try {
    return new X509Certificate(text)
  } catch {
    return 'must hold a readable certificate in PEM'
  }
}

function readKey(text: string): KeyObject | string {
  try {
    return createPrivateKey(text)
  } catch {
    return text.includes('ENCRYPTED')
      ? 'must hold a private key that is not encrypted: the gateway cannot ask for a passphrase'
      : 'must hold a readable private key in PEM'
  }
}

export interface PemFault {
  readonly message: string
  readonly hint?: string
}

/** RSA keys of WeChat Pay have 2048 bits. */
const FEWEST_RSA_BITS = 2048

/** Null for a private RSA key. */
export function rsaKeyFault(text: string): PemFault | null {
  if (text.includes('-----BEGIN CERTIFICATE'))
    return { message: 'must hold the private key, not the certificate', hint: 'apiclient_key.pem holds it' }
  const key = text.includes('-----BEGIN ') ? readKey(text) : 'must hold a PEM block'
  if (typeof key === 'string') return { message: key }
  return isLongRsa(key) ? null : { message: `must hold an RSA key of at least ${FEWEST_RSA_BITS} bits` }
}

/** Null for a public RSA key or a certificate with one. */
export function publicRsaKeyFault(text: string): PemFault | null {
  if (text.includes('PRIVATE KEY-----')) return { message: 'must hold a public key, not a private one' }
  try {
    return isLongRsa(createPublicKey(text))
      ? null
      : { message: `must hold an RSA key of at least ${FEWEST_RSA_BITS} bits` }
  } catch {
    return { message: 'must hold a readable public key or certificate in PEM' }
  }
}

/** A key of WeChat Pay, or its certificate, with its serial. */
export function platformKeyFault(
  text: string,
  serial: string
): (PemFault & { readonly part: 'serial' | 'publicKey' }) | null {
  if (text.includes('PRIVATE KEY-----'))
    return { part: 'publicKey', message: 'must hold the public key of WeChat Pay, not a private key' }
  const isCertificate = text.includes('-----BEGIN CERTIFICATE')
  let key: KeyObject
  try {
    key = createPublicKey(text)
    const own = isCertificate ? new X509Certificate(text).serialNumber : null
    if (own !== null && own.toUpperCase() !== serial.toUpperCase())
      return { part: 'serial', message: 'is not the serial number of the certificate', hint: `write ${own}` }
  } catch {
    return { part: 'publicKey', message: 'must hold a readable public key or certificate in PEM' }
  }
  return isLongRsa(key)
    ? null
    : { part: 'publicKey', message: `must hold an RSA key of at least ${FEWEST_RSA_BITS} bits` }
}

function isLongRsa({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  return asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= FEWEST_RSA_BITS
}
