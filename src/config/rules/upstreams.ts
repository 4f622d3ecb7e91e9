/** `upstreams`: where requests may be sent. */
import { isLinkLocal } from '../../http/addresses.ts'
import type { Path } from '../problem.ts'
import { pemFaults } from './pem.ts'
import { entries, type Rule } from './rule.ts'

export const upstreams: Rule = ({ draft, report }) => {
  for (const [name, upstream] of Object.entries(draft.upstreams ?? {})) {
    if (upstream === undefined) continue
    const seen = new Map<string, number>()
    const urls = entries(upstream.targets).map(([index, target]) => [index, target.url] as const)
    for (const [index, url] of urls) {
      if (url === undefined) continue
      const place: Path = ['upstreams', name, 'targets', index, 'url']
      const fault = targetFault(url)
      if (fault !== null) {
        report.error(place, fault)
        continue
      }
      const { origin } = new URL(url)
      const first = seen.get(origin)
      if (first === undefined) seen.set(origin, index)
      else
        report.warn(
          place,
          `is the same target as on line ${report.line(['upstreams', name, 'targets', first, 'url'])}`,
          'use weight'
        )
    }
    const tls = upstream.tls
    const path: Path = ['upstreams', name, 'tls']
    if (tls === undefined) continue
    for (const [part, fault] of pemFaults(tls)) report.error([...path, part], fault)
    if ((tls.cert === undefined) !== (tls.key === undefined)) report.error(path, 'needs cert and key together')
    if (tls.insecureSkipVerify === true) {
      report.warn(
        [...path, 'insecureSkipVerify'],
        'CERTIFICATES ARE NOT VERIFIED: whoever is between us and the target can read and change everything, identity included',
        'name your own authority under tls.ca'
      )
    }
    const isPlain = urls.every(([, url]) => url?.startsWith('http:') === true)
    if (isPlain && (tls.ca ?? tls.cert ?? tls.serverName) !== undefined) {
      report.warn(path, 'has no effect: every target is http')
    }
  }
}

/** Null for an origin that may be connected to. */
export function targetFault(url: string): string | null {
  const match = /^(https?):\/\/([^/?#\\\s@]+)(\/?)$/.exec(url)
  if (match === null) {
    if (!/^https?:\/\//.test(url)) return 'must start with http:// or https://'
    if (/^https?:\/\/[^/]*@/.test(url)) return 'must not hold credentials'
    return 'must be an origin such as http://10.0.0.5:3000: no path, query, fragment, space or backslash'
  }
  if (!URL.canParse(url)) return 'must be a URL with a valid host and a port from 1 to 65535'
  const { hostname, port } = new URL(url)
  if (port === '0') return 'must have a port from 1 to 65535'
  if (isLinkLocal(hostname)) return 'must not be a link-local address: clouds keep the credentials of the machine there'
  return null
}
