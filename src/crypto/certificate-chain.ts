/** Judges a certificate chain as clients do: Android completes no chain, WeChat's client trusts
 *  public roots only. */
import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'

export interface ChainFault {
  readonly kind: 'unreadable' | 'expired' | 'expiring' | 'notYetValid' | 'incomplete' | 'unordered' | 'selfSigned'
  /** For `expired`, `expiring` and `notYetValid`: the day, as 2026-11-30. */
  readonly day?: string
  /** For `incomplete`: the missing issuer. */
  readonly issuer?: string
}

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const DAY_MS = 86_400_000
/** Most authorities ask for renewal 30 days before the end; 14 days means that it failed. */
const EXPIRING_MS = 14 * DAY_MS

/** @param pem The chain as a server sends it, leaf first. */
export function chainFaults(pem: string, now: number): ChainFault[] {
  const chain = readChain(pem)
  const gap = chainGap(chain)
  return [...chain.flatMap((certificate) => lifeFaults(certificate, now)), ...(gap === null ? [] : [gap])]
}

/** The fault in the order of a chain, whatever its dates. Null for a chain that ends at a public
 *  root, or holds its own root. */
export function chainGapOf(pem: string): ChainFault | null {
  return chainGap(readChain(pem))
}

function readChain(pem: string): X509Certificate[] {
  try {
    return (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block))
  } catch {
    return []
  }
}

export function lifeFaults(
  { validFrom, validTo }: { readonly validFrom: string; readonly validTo: string },
  now: number
): ChainFault[] {
  const [begin, end] = [Date.parse(validFrom), Date.parse(validTo)]
  if (now < begin) return [{ kind: 'notYetValid', day: dayOf(begin) }]
  if (now >= end) return [{ kind: 'expired', day: dayOf(end) }]
  return end - now < EXPIRING_MS ? [{ kind: 'expiring', day: dayOf(end) }] : []
}

function dayOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}

function chainGap(chain: readonly X509Certificate[]): ChainFault | null {
  const [leaf] = chain
  const last = chain.at(-1)
  if (leaf === undefined || last === undefined) return { kind: 'unreadable' }
  if (leaf.checkIssued(leaf)) return { kind: 'selfSigned' }
  for (const [index, certificate] of chain.entries()) {
    const next = chain[index + 1]
    if (next === undefined || certificate.checkIssued(next)) continue
    if (chain.some((other) => certificate.checkIssued(other))) return { kind: 'unordered' }
    return { kind: 'incomplete', issuer: nameOf(certificate) }
  }
  const isComplete = last.checkIssued(last) || isIssuedByRoot(last)
  return isComplete ? null : { kind: 'incomplete', issuer: nameOf(last) }
}

function isIssuedByRoot(certificate: X509Certificate): boolean {
  return rootCertificates.some((pem) => {
    const root = new X509Certificate(pem)
    return root.subject === certificate.issuer && certificate.checkIssued(root)
  })
}

/** The issuer's common name, or the whole name without one. */
function nameOf({ issuer }: X509Certificate): string {
  return /^CN=(.+)$/m.exec(issuer)?.[1] ?? issuer.replaceAll('\n', ', ')
}
