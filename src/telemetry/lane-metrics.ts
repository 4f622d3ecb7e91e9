/** Metrics of the connections and the two lanes of the edge. Requests are counted in plain
 *  numbers, which a scrape reads. */
import { Counter, type Registry } from 'prom-client'

/** Reasons of the server itself: the fast lane is off, the connection was handed over earlier, or
 *  it is beyond the connection limit. */
const SERVER_REASONS = ['off', 'kept', 'surplus']

/** @param reasons Words of the fast lane. */
export function createLaneMetrics(registry: Registry, reasons: readonly string[]) {
  let fast = 0
  const general = new Map([...SERVER_REASONS, ...reasons].map((reason) => [reason, 0]))
  const registers = [registry]
  new Counter({
    name: 'wxgate_fast_lane_requests_total',
    help: 'Requests that the fast lane served',
    registers,
    collect() {
      this.reset()
      this.inc(fast)
    }
  })
  new Counter({
    name: 'wxgate_general_lane_requests_total',
    help: 'Requests that the general HTTP server served, by the reason why the fast lane did not',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset()
      for (const [reason, count] of general) this.inc({ reason }, count)
    }
  })
  const refused = new Counter({
    name: 'wxgate_proxy_protocol_errors_total',
    help: 'Connections closed because a peer in server.proxyProtocol sent no valid PROXY header',
    registers
  })
  return {
    proxyHeaderRefused: () => refused.inc(),
    fastRequest(): void {
      fast++
    },
    generalRequest(reason: string): void {
      general.set(reason, (general.get(reason) ?? 0) + 1)
    }
  }
}
