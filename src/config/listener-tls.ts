/** TLS of a listener: a certificate with its key, or a list of them. */
import { X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { systemClock } from '../clock.ts'
import { lifeFaults } from '../crypto/certificate-chain.ts'
import { certificateNames } from '../http/certificate-names.ts'
import { type Static, Type } from '../schema.ts'
import { chainGap, type PemPart, pemFaults } from './pem.ts'
import type { Path } from './problem.ts'
import { readSecretFile } from './secret-file.ts'
import { type Draft, entries, type RuleContext } from './section.ts'
import { fileReference, mapping } from './terms.ts'

const pair = mapping('A certificate and its key.', {
  cert: fileReference('Certificate chain in PEM.'),
  key: fileReference('Private key in PEM.')
})

type Pair = Static<typeof pair>

export function listenerTls(description: string) {
  return Type.Optional(
    Type.Unsafe<Pair | Pair[]>({
      description: `${description} A certificate with its key, or a list of them: the client's SNI chooses by the names in the certificates, and the first is the default. All files are read again when they change.`,
      anyOf: [pair, Type.Array(pair, { minItems: 1, maxItems: 256 })],
      'x-one-or-list': true,
      'x-form': 'a certificate with its key, or a list of them'
    })
  )
}

/** The listener reads the files again; here they must exist and match.
 *  @param place Of the value in the file. */
export function checkListenerTls(written: Draft<Pair | Pair[]> | undefined, place: Path, context: RuleContext): void {
  if (written === undefined) return
  if (!isList(written)) {
    checkPair(written, place, context)
    return
  }
  const named = entries(written).map(([index, one]) => {
    const path = [...place, index]
    return { path, names: checkPair(one, path, context) }
  })
  for (const [index, { path, names }] of named.entries()) {
    const earlier = named.slice(0, index).flatMap((other) => other.names ?? [])
    if (names === null || index === 0 || names.some((name) => !earlier.includes(name))) continue
    context.report.warn([...path, 'cert', 'file'], 'no client gets this certificate: earlier ones have all its names')
  }
}

function isList(written: Draft<Pair | Pair[]>): written is readonly (Draft<Pair> | undefined)[] {
  return Array.isArray(written)
}

/** @returns The names of the certificate; null for one that cannot be read. */
function checkPair(written: Draft<Pair>, place: Path, { report, directory, readFile }: RuleContext): string[] | null {
  const pem: Partial<Record<PemPart, string>> = {}
  for (const part of ['cert', 'key'] as const) {
    const file = written[part]?.file
    if (file === undefined) continue
    // A certificate may be readable by every user.
    const partReport = part === 'key' ? report : { ...report, warn: () => {} }
    const text = readSecretFile(file, { directory, readFile }, [...place, part], partReport)
    if (text !== null) pem[part] = text
  }
  for (const [part, fault] of pemFaults(pem)) report.error([...place, part, 'file'], fault)
  const certificate = pem.cert === undefined ? null : readCertificate(pem.cert)
  if (pem.cert === undefined || certificate === null) return null
  const warn = (message: string, hint?: string) => report.warn([...place, 'cert', 'file'], message, hint)
  const gap = chainGap(pem.cert)
  if (gap !== null) warn(gap)
  for (const { kind, day } of lifeFaults(certificate, systemClock.now())) {
    if (kind === 'expired') warn(`the certificate ended on ${day}: clients refuse it`, 'renew it')
    if (kind === 'notYetValid') warn(`the certificate begins on ${day}`, 'check the clock of this machine')
  }
  return certificateNames(certificate)
}

function readCertificate(text: string): X509Certificate | null {
  try {
    return new X509Certificate(text)
  } catch {
    return null
  }
}

/** Absolute paths; null for a listener without TLS. */
export function resolveListenerTls(written: Pair | Pair[] | undefined, directory: string) {
  if (written === undefined) return null
  return [written].flat().map(({ cert, key }) => ({
    certFile: resolve(directory, cert.file),
    keyFile: resolve(directory, key.file)
  }))
}
