/** TLS of a listener: its certificates, chosen by the name that a client asks for (SNI), and the
 *  protocol settings. */
import { constants, randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import { type SecureContext, type SecureContextOptions, type TlsOptions, Server as TlsServer } from 'node:tls'
import { chooseCertificate } from './certificate-names.ts'
import { type CertificatePair, type FollowedPair, followPair, type PairFiles, readPair } from './certificate-pair.ts'

/** Mozilla's intermediate profile: forward secrecy and authenticated encryption only. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305'
].join(':')
const COMMON: SecureContextOptions = {
  minVersion: 'TLSv1.2',
  ciphers: CIPHERS,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION
}
/** The key of session tickets opens every session that was resumed with one: it is replaced after
 *  this time (milliseconds), which ends the resumption of older sessions. */
const TICKET_KEY_LIFE = 3_600_000
const TICKET_KEY_BYTES = 48

export interface TlsLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
}

/** A certificate in use. */
export interface UsedCertificate {
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  /** PEM. */
  readonly chain: string
}

export interface TlsFiles {
  readonly serverOptions: TlsOptions
  /** New connections get the newest pairs that could be used. */
  follow(server: Server): void
  /** Reads other pairs, and throws when one cannot be used. The returned function puts them in
   *  force for new connections. */
  prepare(pairs: readonly PairFiles[]): () => void
  readonly certificates: readonly UsedCertificate[]
  stop(): void
}

/** @param pairs At least one. The first serves clients that name no host, or an unknown one.
 *  @param onUse Called with all certificates when one of them was taken into use. */
export function loadTls(
  pairs: readonly PairFiles[],
  log: TlsLog,
  onUse: (certificates: readonly UsedCertificate[]) => void
): TlsFiles {
  let followed: FollowedPair[] = []
  let server: TlsServer | null = null
  let ticketTimer: NodeJS.Timeout | undefined

  const inUse = () => followed.map(({ current }) => current)

  function use(list: readonly PairFiles[], read: readonly CertificatePair[]): void {
    for (const pair of followed) pair.stop()
    followed = list.flatMap((files, index) => {
      const first = read[index]
      return first === undefined ? [] : [followPair(files, COMMON, first, eventsOf(files))]
    })
    apply()
  }

  function apply(): void {
    const [first] = inUse()
    if (first !== undefined) server?.setSecureContext(first.options)
    onUse(inUse())
  }

  const eventsOf = ({ certFile }: PairFiles) => ({
    onChange() {
      apply()
      log.info({ certificate: certFile }, 'the TLS certificate was read again')
    },
    onFailure(error: unknown) {
      const message = 'the TLS certificate could not be read again: the last one stays in use'
      log.warn({ err: error, certificate: certFile }, message)
    }
  })

  use(
    pairs,
    pairs.map((files) => readPair(files, COMMON))
  )
  return {
    serverOptions: {
      ...inUse()[0]?.options,
      SNICallback(name: string, callback: (error: Error | null, context?: SecureContext) => void) {
        callback(null, chooseCertificate(inUse(), name)?.context)
      }
    },
    follow(target) {
      if (!(target instanceof TlsServer)) return
      server = target
      const renewTicketKey = () => target.setTicketKeys(randomBytes(TICKET_KEY_BYTES))
      ticketTimer = setInterval(renewTicketKey, TICKET_KEY_LIFE).unref()
    },
    prepare(list) {
      const read = list.map((files) => readPair(files, COMMON))
      return () => use(list, read)
    },
    get certificates() {
      return inUse()
    },
    stop() {
      clearInterval(ticketTimer)
      for (const pair of followed) pair.stop()
    }
  }
}
