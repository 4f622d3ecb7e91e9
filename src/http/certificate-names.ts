/** The names that a certificate is valid for, and the choice of a certificate by name. */
import type { X509Certificate } from 'node:crypto'
import { canonicalAddress } from './network.ts'

const NAME = /(?:^|, )(?:DNS|IP Address):([^,"]+)/g
/** A name that begins with one label (RFC 1035, section 2.3.1); browsers accept "_" too. */
const LABELLED = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(\..+)$/

/** Names in small letters and canonical addresses, in their order; without any, the common name. */
export function certificateNames({ subjectAltName, subject }: X509Certificate): string[] {
  const names = [...(subjectAltName ?? '').matchAll(NAME)].map(([, name = '']) => canonicalName(name))
  if (names.length > 0) return names
  const [, common] = /(?:^|\n)CN=(.*)/.exec(subject ?? '') ?? []
  return common === undefined ? [] : [common.toLowerCase()]
}

/** True when one of the names covers `host`. A wildcard stands for exactly one label (RFC 9525,
 *  section 6.3).
 *  @param host A name or an address, without a port. */
export function coversHost(names: readonly string[], host: string): boolean {
  const name = canonicalName(host)
  return names.includes(name) || names.includes(wildcardOf(name))
}

/** The place of the certificate for a host name: the first with this very name, else the first with
 *  a wildcard for it. Undefined: the default serves. */
export function chooseCertificate<T extends { readonly names: readonly string[] }>(
  certificates: readonly T[],
  host: string
): T | undefined {
  const name = canonicalName(host)
  const wildcard = wildcardOf(name)
  return (
    certificates.find(({ names }) => names.includes(name)) ?? certificates.find(({ names }) => names.includes(wildcard))
  )
}

/** OpenSSL writes all groups of an IPv6 address: 0:0:0:0:0:0:0:1. */
function canonicalName(text: string): string {
  return canonicalAddress(text.toLowerCase().replace(/\.$/, ''))
}

/** The wildcard that covers a name; the name itself where none can. */
function wildcardOf(name: string): string {
  const [, rest] = LABELLED.exec(name) ?? []
  return rest === undefined ? name : `*${rest}`
}
