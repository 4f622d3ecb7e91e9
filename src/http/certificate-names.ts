/** The names that a certificate is valid for, and the choice of a certificate by name. */
import type { X509Certificate } from 'node:crypto'

const NAME = /(?:^|, )(?:DNS|IP Address):([^,"]+)/g

/** Names and addresses in small letters, in their order; without any, the common name. */
export function certificateNames({ subjectAltName, subject }: X509Certificate): string[] {
  const names = [...(subjectAltName ?? '').matchAll(NAME)].map(([, name = '']) => name.toLowerCase())
  if (names.length > 0) return names
  const [, common] = /(?:^|\n)CN=(.*)/.exec(subject ?? '') ?? []
  return common === undefined ? [] : [common.toLowerCase()]
}

/** True when one of the names covers `host`. A wildcard stands for exactly one label (RFC 9525,
 *  section 6.3).
 *  @param host A name or an address, without a port. */
export function coversHost(names: readonly string[], host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  return names.includes(name) || names.includes(wildcardOf(name))
}

/** The place of the certificate for a host name: the first with this very name, else the first with
 *  a wildcard for it. Undefined: the default serves. */
export function chooseCertificate<T extends { readonly names: readonly string[] }>(
  certificates: readonly T[],
  host: string
): T | undefined {
  const name = host.toLowerCase().replace(/\.$/, '')
  const wildcard = wildcardOf(name)
  return (
    certificates.find(({ names }) => names.includes(name)) ?? certificates.find(({ names }) => names.includes(wildcard))
  )
}

function wildcardOf(name: string): string {
  const dot = name.indexOf('.')
  return dot < 1 ? '' : `*${name.slice(dot)}`
}
