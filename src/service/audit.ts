/** Writes one log line for every call with a service token: caller, subject and result. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { CLIENT_CLOSED_REQUEST, type RequestRecord } from '../http/record.ts'
import { recordOf } from '../http/request.ts'

export interface AuditLog {
  info(fields: object, text: string): void
}

export interface Audit {
  /** Name of the token; null for a credential that was not accepted. */
  caller: string | null
  /** The subject by appid and user id; no openid enters the log. */
  app: string | null
  user: string | null
  /** Path of WeChat's API. */
  path: string | null
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Null outside the scopes that need a service token. */
    audit: Audit | null
  }
}

export function addAudit(app: FastifyInstance, log: AuditLog): void {
  app.decorateRequest('audit', null)
  // Fastify skips onResponse for a caller that disconnected before the answer, although its call
  // may have taken effect.
  app.addHook('onRequest', (request, reply, done) => {
    const { raw } = reply
    raw.once('close', () => {
      const status = raw.headersSent ? raw.statusCode : null
      if (request.audit !== null) writeAudit(log, request.audit, recordOf(request.raw), endpointOf(request), status)
    })
    done()
  })
}

/** @param status Null: the client disconnected before the answer. */
export function writeAudit(
  log: AuditLog,
  audit: Audit,
  { reason, isGranted, clientAddress, requestId, startedAt }: RequestRecord,
  endpoint: string,
  status: number | null
): void {
  const { caller, app, user, path } = audit
  const fields = {
    event: 'service_call',
    caller,
    app,
    user,
    path,
    endpoint,
    status: status ?? CLIENT_CLOSED_REQUEST,
    result: status === null ? 'client_left' : isGranted ? 'ok' : reason,
    ms: Math.round(performance.now() - startedAt),
    client: clientAddress,
    request_id: requestId
  }
  log.info(fields, 'a call with a service token')
}

function endpointOf({ method, routeOptions }: FastifyRequest): string {
  return routeOptions.url === undefined ? 'none' : `${method} ${routeOptions.url}`
}
