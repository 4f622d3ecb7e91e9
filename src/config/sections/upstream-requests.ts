/** `upstreams.*.host` and `headers`: parts of every request that a backend receives. */
import { canonicalName, isReservedRequestHeader } from '../../http/headers/header-names.ts'
import { headerValueFault } from '../header-value.ts'
import { type Path, quote } from '../problem.ts'
import type { Report } from '../report.ts'
import { matching, secretHeaders } from '../terms.ts'

const host = matching(
  "The Host that the backend sees: `target` (the target's own), `client` (the client's), or a name.",
  '^(?:[A-Za-z0-9._-]{1,253}|\\[[0-9A-Fa-f:.]{2,45}\\])(?::[0-9]{1,5})?$',
  'target, client, or a host name with an optional port',
  'target'
)

const headers = secretHeaders(
  "Headers of every request to this backend, such as the gateway's own credential. They replace the client's."
)

export const requestShape = { host, headers }

/** @param path Place of the `headers`. */
export function checkUpstreamHeaders(
  headers: Readonly<Record<string, string | undefined>> | undefined,
  path: Path,
  report: Report
): void {
  const known = new Map<string, string>()
  for (const [name, value] of Object.entries(headers ?? {})) {
    const canonical = canonicalName(name)
    const place = [...path, name]
    // The client's credential never goes upstream, so the name is free for the gateway's own.
    if (canonical !== 'authorization' && isReservedRequestHeader(name)) {
      const hint = canonical === 'host' ? 'write host: NAME beside headers' : undefined
      report.error(place, 'this header is reserved and cannot be set', hint, 'key')
    }
    const other = known.get(canonical)
    if (other === undefined) known.set(canonical, name)
    else report.error(place, `is another spelling of ${quote(other)}`, undefined, 'key')
    const fault = value === undefined ? null : headerValueFault(value)
    if (fault !== null) report.error(place, fault)
  }
}
