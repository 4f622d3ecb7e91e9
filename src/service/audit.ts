/** One line in the log for every call of a backend: who did what, about which user, and what came of it. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { contextOf } from '../proxy/request-context.ts'
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
  app.addHook('onResponse', async (request, reply) => {
    const { audit } = request
    if (audit === null) return
    const { reason, isGranted, clientAddress, requestId, startedAt } = contextOf(request.raw)
    const result = isGranted ? 'ok' : reason
    const ms = Math.round(performance.now() - startedAt)
    const fields = {
      event: 'service_call',
      ...audit,
      endpoint: endpointOf(request),
      status: reply.raw.statusCode,
      result
    }
    log.info({ ...fields, ms, client: clientAddress, request_id: requestId }, 'a backend called')
  })
}

function endpointOf({ method, routeOptions }: FastifyRequest): string {
  return routeOptions.url === undefined ? 'none' : `${method} ${routeOptions.url}`
}
