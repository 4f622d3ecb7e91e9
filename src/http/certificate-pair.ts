/** A certificate and its key, read from two files and again when they change. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import { type FileState, fileState, watchFiles } from '../watched-files.ts'
import { certificateNames } from './certificate-names.ts'

export interface PairFiles {
  readonly certFile: string
  readonly keyFile: string
}

/** A pair that belongs together. */
export interface CertificatePair {
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  /** The certificate and those of its issuers, in PEM. */
  readonly chain: string
  readonly options: SecureContextOptions
  readonly context: SecureContext
  /** The bytes of both files. */
  readonly content: string
  /** States of both files, taken before they were read. */
  readonly states: readonly FileState[]
}

/** The two files are replaced one after the other: a pair that does not match is reported after
 *  this time (milliseconds). */
const PATIENCE = 5_000

/** Throws for a pair that cannot be used.
 *  @param common Settings of TLS beside the pair. */
export function readPair({ certFile, keyFile }: PairFiles, common: SecureContextOptions): CertificatePair {
  const states = [certFile, keyFile].map(fileState)
  const cert = readFileSync(certFile)
  const key = readFileSync(keyFile)
  const certificate = new X509Certificate(cert)
  if (!certificate.checkPrivateKey(createPrivateKey(key))) {
    throw new Error('the private key does not belong to the certificate')
  }
  const options = { ...common, cert, key }
  return {
    names: certificateNames(certificate),
    expiresAt: certificate.validToDate.getTime(),
    chain: cert.toString('latin1'),
    options,
    context: createSecureContext(options),
    content: Buffer.concat([cert, key]).toString('latin1'),
    states
  }
}

export interface FollowedPair {
  /** The newest pair that could be used. */
  readonly current: CertificatePair
  stop(): void
}

export interface PairEvents {
  /** The files hold another pair, which is in use now. */
  onChange(): void
  onFailure(error: unknown): void
}

/** @param first The content of the files. */
export function followPair(
  files: PairFiles,
  common: SecureContextOptions,
  first: CertificatePair,
  { onChange, onFailure }: PairEvents
): FollowedPair {
  let current = first
  let timer: NodeJS.Timeout | undefined

  function read(isLastTry: boolean): void {
    clearTimeout(timer)
    try {
      const next = readPair(files, common)
      watched.use(next.states)
      if (next.content === current.content) return
      current = next
      onChange()
    } catch (error) {
      if (isLastTry) onFailure(error)
      else timer = setTimeout(read, PATIENCE, true).unref()
    }
  }

  const watched = watchFiles(() => read(false))
  watched.use(first.states)
  return {
    get current() {
      return current
    },
    stop() {
      clearTimeout(timer)
      watched.stop()
    }
  }
}
