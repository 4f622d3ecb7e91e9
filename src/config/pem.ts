/** Checks certificates and keys before the first connection. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
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
