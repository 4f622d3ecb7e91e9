/** One line in the log for every call of a backend: who did what, about which user, and what came of it. */
import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { recordOf } from '../http/request.ts'
import type { Log } from '../telemetry/log.ts'

export interface Audit {
  /** Name of the token; null when none was acceptable. */
  caller: string | null
  /** By appid and id: an openid is not for the log. */
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

export function addAudit(app: FastifyInstance, log: Log): void {
  app.decorateRequest('audit', null)
  // Fastify's onResponse says nothing of a caller who left before the answer, and what they asked for may be done.
  app.addHook('onRequest', async (request, reply) => {
    reply.raw.once('close', () => write(log, request, reply.raw))
  })
}

function write(log: Log, request: FastifyRequest, { headersSent, statusCode }: ServerResponse): void {
  const { audit } = request
  if (audit === null) return
  const { reason, isGranted, clientAddress, requestId, startedAt } = recordOf(request.raw)
  const fields = {
    event: 'service_call',
    ...audit,
    endpoint: endpointOf(request),
    // nginx's word for a client that left before the answer.
    status: headersSent ? statusCode : 499,
    result: !headersSent ? 'client_left' : isGranted ? 'ok' : reason
  }
  const ms = Math.round(performance.now() - startedAt)
  log.info({ ...fields, ms, client: clientAddress, request_id: requestId }, 'a backend called')
}

function endpointOf({ method, routeOptions }: FastifyRequest): string {
  return routeOptions.url === undefined ? 'none' : `${method} ${routeOptions.url}`
}
