/** A rule across sections: no target is the gateway itself. */
import { reachesListener } from '../../http/addresses.ts'
import { entries, type RuleContext } from '../section.ts'
import type { ServerDraft } from './server.ts'
import type { ServiceDraft } from './service.ts'
import type { UpstreamsDraft } from './upstreams.ts'

export function checkOwnAddress(draft: UpstreamsDraft & ServerDraft & ServiceDraft, { report }: RuleContext): void {
  for (const [name, upstream] of Object.entries(draft.upstreams ?? {})) {
    for (const [index, { url }] of entries(upstream?.targets)) {
      const isOrigin = url?.startsWith('http') === true && URL.canParse(url)
      const key = isOrigin ? ownListener(url, draft) : null
      if (key === null) continue
      const fault = `is the address of the gateway itself (${key}): its requests would go in a circle`
      report.error(['upstreams', name, 'targets', index, 'url'], fault, `correct the url, or set another ${key}`)
    }
  }
}

/** Key of the port that the URL leads to. Port 0 is chosen later and cannot be compared. */
function ownListener(url: string, listeners: ServerDraft & ServiceDraft): string | null {
  const { hostname, port, protocol } = new URL(url)
  const target = Number(port || (protocol === 'https:' ? 443 : 80))
  const { server, service } = listeners
  const own = [
    ['server.port', server?.host, server?.port],
    ['server.redirectHttp.port', server?.host, server?.redirectHttp?.port],
    ['service.port', service?.host, service?.port]
  ] as const
  for (const [key, host, port] of own) {
    if (host !== undefined && port === target && reachesListener(hostname, host)) return key
  }
  return null
}
