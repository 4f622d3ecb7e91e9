/** Calls of WeChat's API that the fast lane serves: the same checks as those of the scopes, without
 *  Fastify. Every call that fails one goes to the general lane, which answers it. */
import { ApiError } from '../errors.ts'
import type { ClientSide } from '../http/client-side.ts'
import type { FindOrdinary } from '../http/handler.ts'
import type { AdmittedRequest } from '../http/request.ts'
import { type Audit, type AuditLog, writeAudit } from './audit.ts'
import type { Caller, Callers } from './callers.ts'
import type { IsKnownHost } from './host-check.ts'
import type { ServeWxapi } from './wxapi-call.ts'

export interface OrdinaryCallsDeps {
  readonly callers: Pick<Callers, 'identify'>
  readonly isKnownHost: IsKnownHost
  readonly serveWxapi: ServeWxapi
  readonly log: AuditLog
}

const PATH = /^\/wxapi\/[^/]+\/[^/]/

export function createOrdinaryCalls({ callers, isKnownHost, serveWxapi, log }: OrdinaryCallsDeps): FindOrdinary {
  function callerOf({ headers }: AdmittedRequest): Caller | null {
    const caller = callers.identify(headers.authorization, 'basic')
    return caller instanceof ApiError || !caller.scopes.has('wxapi') ? null : caller
  }

  function serve(caller: Caller, admitted: AdmittedRequest, client: ClientSide): void {
    const { record, method } = admitted
    const audit: Audit = { caller: caller.name, app: null, user: null, path: null }
    record.granted('service', null, null)
    client.onceClosed(() => {
      const status = client.hasBegun ? client.status : null
      writeAudit(log, audit, record, `${method} /wxapi/:appid/*`, status)
    })
    serveWxapi({ admitted, caller, audit }, client)
  }

  return (request) => {
    if (!PATH.test(request.target.path) || !isKnownHost(request.headers.host)) return null
    const caller = callerOf(request)
    return caller && ((admitted, client) => serve(caller, admitted, client))
  }
}
