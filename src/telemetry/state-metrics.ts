/** Metrics of the state of this process, read when a scrape asks. */
import { Counter, Gauge, type Registry } from 'prom-client'

export interface MeasuredState {
  readonly version: string
  /** /readyz answers 200. */
  readonly isReady: () => boolean
  /** Seconds since the revocation feed was read to its end. */
  readonly feedAge: () => number
  readonly isStoreTrusted: () => boolean
  readonly revocations: () => number
  /** By appid: the result of the last check of its credentials. */
  readonly appStates: () => Readonly<Record<string, string>>
  /** Lines that the log has lost since the start. */
  readonly lostLogLines: () => number
}

export interface LastReload {
  readonly isSuccessful: boolean
  /** Milliseconds since 1970. */
  readonly at: number
}

export function addStateMetrics(registry: Registry, state: MeasuredState, lastReload: LastReload): void {
  const registers = [registry]
  /** @param aggregator Combines the values of several workers. */
  const gauge = (name: string, help: string, aggregator: 'max' | 'min', read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      aggregator,
      collect() {
        this.set(read())
      }
    })
  const info = { name: 'wxgate_build_info', help: 'Version of this gateway; the value is always 1' }
  new Gauge({ ...info, labelNames: ['version'], registers, aggregator: 'first' }).set({ version: state.version }, 1)
  gauge('wxgate_ready', '1 while /readyz answers 200', 'min', () => Number(state.isReady()))
  const feedAge = 'Time since the revocation feed was last read to its end'
  gauge('wxgate_store_feed_age_seconds', feedAge, 'max', state.feedAge)
  gauge('wxgate_store_trusted', '1 while revocations are known well enough to accept tokens', 'min', () =>
    Number(state.isStoreTrusted())
  )
  gauge('wxgate_revocations', 'Ended sessions and users held in memory', 'max', state.revocations)
  const successful = 'Whether the newest configuration is in force'
  gauge('wxgate_config_last_reload_successful', successful, 'min', () => Number(lastReload.isSuccessful))
  const readAt = 'When the configuration was last read'
  gauge('wxgate_config_last_reload_timestamp_seconds', readAt, 'max', () => lastReload.at / 1000)
  addAppStates(registry, state.appStates)
  new Counter({
    name: 'wxgate_log_lost_lines_total',
    help: 'Lines that the log lost while its reader was gone or behind',
    registers,
    collect() {
      this.reset()
      this.inc(state.lostLogLines())
    }
  })
}

/** The series of an app exists while its credentials are checked. */
function addAppStates(registry: Registry, appStates: MeasuredState['appStates']): void {
  new Gauge({
    name: 'wxgate_app_credentials_refused',
    help: '1 while WeChat refuses the AppSecret or the address of this gateway, by app',
    labelNames: ['app'],
    registers: [registry],
    aggregator: 'max',
    collect() {
      this.reset()
      for (const [app, state] of Object.entries(appStates())) this.set({ app }, Number(state === 'refused'))
    }
  })
}

export interface MeasuredCertificate {
  readonly names: readonly string[]
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** @returns Sets the certificates of a listener. Of several with one first name, the one that
 *  expires first counts. */
export function createCertificateMetric(
  registry: Registry
): (listener: 'edge' | 'service', certificates: readonly MeasuredCertificate[]) => void {
  const inUse = new Map<string, readonly MeasuredCertificate[]>()
  const expiry = new Gauge({
    name: 'wxgate_tls_certificate_expiry_timestamp_seconds',
    help: 'When a certificate of a listener expires, by the first name that it is valid for',
    labelNames: ['listener', 'name'],
    registers: [registry],
    aggregator: 'min'
  })
  return (listener, certificates) => {
    inUse.set(listener, certificates)
    expiry.reset()
    for (const [listener, list] of inUse) {
      const latestFirst = list.toSorted((a, b) => b.expiresAt - a.expiresAt)
      for (const { names, expiresAt } of latestFirst) expiry.set({ listener, name: names[0] ?? '' }, expiresAt / 1000)
    }
  }
}
