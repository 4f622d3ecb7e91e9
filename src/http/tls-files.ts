/** Certificate and key of the edge, read again when the files change. */
import { readFileSync, unwatchFile, watchFile } from 'node:fs'
import type { Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import { createSecureContext } from 'node:tls'
import type { Log } from '../telemetry/log.ts'

/** Certificates are often replaced by moving a link; asking for the file's state sees that, change events do not. */
const CHECK_INTERVAL = 1_000

export interface TlsFiles {
  context(): { cert: Buffer; key: Buffer }
  /** New connections get what the files hold by then; a pair that does not fit is not taken over. */
  follow(server: Server): void
  stop(): void
}

export function loadTls(files: { certFile: string; keyFile: string }, log: Log): TlsFiles {
  const read = () => ({
    cert: readFileSync(files.certFile),
    key: readFileSync(files.keyFile),
    minVersion: 'TLSv1.2' as const
  })
  return {
    context: read,
    follow(server) {
      const reload = () => {
        try {
          const context = read()
          createSecureContext(context)
          ;(server as unknown as TlsServer).setSecureContext(context)
          log.info('the TLS certificate was read again')
        } catch (error) {
          log.error({ err: error }, 'the TLS certificate could not be read again; the one before stays in use')
        }
      }
      for (const file of [files.certFile, files.keyFile]) {
        watchFile(file, { interval: CHECK_INTERVAL, persistent: false }, reload)
      }
    },
    stop() {
      unwatchFile(files.certFile)
      unwatchFile(files.keyFile)
    }
  }
}
