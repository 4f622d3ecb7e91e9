/** The upstream head of one request, built without a gateway. */
import type { RouteConfig } from '../../src/config/config.ts'
import type { RequestHeaders } from '../../src/http/headers/request-headers.ts'
import type { Peer } from '../../src/http/network.ts'
import { RequestRecord } from '../../src/http/record.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { createRequestEdits } from '../../src/proxy/request-edits.ts'
import { createUpstreamHead, listHeaders } from '../../src/proxy/upstream-head.ts'

export const REQUEST_ID = 'id-ours'
export const TRACEPARENT = '00-ours'

/** RFC 8586. */
export const LOOP_ID = 'wxgate-ours'

const build = createUpstreamHead({
  loopId: LOOP_ID,
  revocations: { statusOf: ({ status }) => status },
  waferKeys: { headers: () => [] }
})

export function headersFor(
  headers: RequestHeaders,
  route: RouteConfig,
  principal: Principal | null,
  peer: Peer = { address: '192.0.2.1', isTrusted: false, proto: 'http' }
): string[] {
  const record = new RequestRecord({
    requestId: REQUEST_ID,
    traceparent: TRACEPARENT,
    startedAt: 0,
    method: 'GET',
    path: '/',
    client: null,
    clientAddress: peer.address,
    observer: { finished() {} }
  })
  const request = { method: 'GET', target: { path: '/', query: '', needs: 0 }, headers, peer, record }
  const plan = {
    bodies: null,
    identities: new WeakMap<Principal, string>(),
    host: null,
    edits: createRequestEdits(route.requestHeaders, { headers: {} })
  }
  const planned = { ...route, plan }
  return listHeaders(build(request, planned, principal))
}
