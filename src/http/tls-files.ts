/** Certificate and key of the edge, read again when the files change. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:http'
import { createSecureContext, type SecureContextOptions, Server as TlsServer } from 'node:tls'

/** Certificates are often replaced by moving a link, which polling the file sees and change
 *  events miss. */
const CHECK_INTERVAL = 1_000
/** The two files are replaced one after the other: a pair that does not match is reported after
 *  this time (milliseconds). */
const PATIENCE = 5_000

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

export interface TlsLog {
  info(message: string): void
  error(fields: object, message: string): void
}

export interface TlsFiles {
  serverOptions(): SecureContextOptions
  /** New connections get the newest pair that matches. */
  follow(server: Server): void
  stop(): void
}

/** @param onRead Called with the first name and the end of validity of each certificate that is
 *  taken into use. */
export function loadTls(
  files: { readonly certFile: string; readonly keyFile: string },
  log: TlsLog,
  onRead: (name: string, expiresAtMs: number) => void
): TlsFiles {
  const paths = [files.certFile, files.keyFile]
  let timer: NodeJS.Timeout | undefined
  let inUse = ''

  function read(): SecureContextOptions {
    const cert = readFileSync(files.certFile)
    const key = readFileSync(files.keyFile)
    const certificate = new X509Certificate(cert)
    if (!certificate.checkPrivateKey(createPrivateKey(key))) {
      throw new Error('the private key does not belong to the certificate')
    }
    const options = { cert, key, minVersion: 'TLSv1.2' as const, ciphers: CIPHERS }
    createSecureContext(options)
    inUse = Buffer.concat([cert, key]).toString('latin1')
    onRead(firstName(certificate), certificate.validToDate.getTime())
    return options
  }

  function reload(server: TlsServer, isLastTry: boolean): void {
    clearTimeout(timer)
    const before = inUse
    try {
      const options = read()
      if (inUse === before) return
      server.setSecureContext(options)
      log.info('the TLS certificate was read again')
    } catch (error) {
      inUse = before
      if (isLastTry) log.error({ err: error }, 'the TLS certificate could not be read again; the last one stays in use')
      else timer = setTimeout(() => reload(server, true), PATIENCE).unref()
    }
  }

  return {
    serverOptions: read,
    follow(server) {
      if (!(server instanceof TlsServer)) return
      for (const path of paths) {
        watchFile(path, { interval: CHECK_INTERVAL, persistent: false }, () => reload(server, false))
      }
    },
    stop() {
      clearTimeout(timer)
      for (const path of paths) unwatchFile(path)
    }
  }
}

/** Of the subject's alternative names, else of the subject. */
function firstName({ subjectAltName, subject }: X509Certificate): string {
  const [, name = ''] =
    /^(?:DNS|IP Address):([^,]+)/.exec(subjectAltName ?? '') ?? /(?:^|\n)CN=(.*)/.exec(subject) ?? []
  return name
}
