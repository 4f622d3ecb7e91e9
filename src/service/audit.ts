/** Writes one log line for every call with a service token: caller, subject and result. */
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
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
    reply.raw.once('close', () => write(log, request, reply.raw))
    done()
  })
}

function write(log: AuditLog, request: FastifyRequest, { headersSent, statusCode }: ServerResponse): void {
  const { audit } = request
  if (audit === null) return
  const { reason, isGranted, clientAddress, requestId, startedAt } = recordOf(request.raw)
  const fields = {
    event: 'service_call',
    ...audit,
    endpoint: endpointOf(request),
    // 499, as in nginx: the client disconnected before the answer.
    status: headersSent ? statusCode : 499,
    result: !headersSent ? 'client_left' : isGranted ? 'ok' : reason
  }
  const ms = Math.round(performance.now() - startedAt)
  log.info({ ...fields, ms, client: clientAddress, request_id: requestId }, 'a backend called')
}

function endpointOf({ method, routeOptions }: FastifyRequest): string {
  return routeOptions.url === undefined ? 'none' : `${method} ${routeOptions.url}`
}
