/** The private listener: for backends, operators and load balancers, never for the internet. */
import Fastify, { type FastifyInstance } from 'fastify'
import { useErrors } from '../edge/fastify-errors.ts'
import { createFrontDoor } from '../edge/front-door.ts'
import { addHealth } from '../edge/health.ts'
import type { Parts } from '../parts.ts'
import { contextOf, setContext } from '../proxy/request-context.ts'
import { addVerify } from './verify.ts'

const BODY_LIMIT = 256 * 1024

export interface Service {
  listen(host: string, port: number): Promise<{ host: string; port: number }>
  close(): Promise<void>
}

export async function createService(parts: Parts): Promise<Service> {
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
    forceCloseConnections: true,
    requestTimeout: 30_000
  })
  useErrors(app, {
    log: parts.log,
    requestId: (request) => contextOf(request.raw).requestId,
    onError(request, error) {
      const context = contextOf(request.raw)
      context.isGranted = false
      context.reason = error.code
    }
  })
  admitEverything(app, parts)
  addHealth(app, parts)
  addVerify(app, parts)
  app.get('/metrics', async (_request, reply) => {
    reply.header('content-type', parts.metrics.contentType)
    const own = () => parts.metrics.text()
    return parts.groupMetrics ? parts.groupMetrics(own) : own()
  })
  await app.ready()
  return {
    async listen(host, port) {
      await app.listen({ host, port })
      const address = app.server.address()
      return { host, port: typeof address === 'object' && address ? address.port : port }
    },
    async close() {
      await app.close()
    }
  }
}

/** The same reading of target and headers as on the edge, before any endpoint sees a request. */
function admitEverything(app: FastifyInstance, parts: Parts): void {
  const frontDoor = createFrontDoor(parts.config)
  app.addHook('onRequest', async (request) => {
    const { context, error } = frontDoor.admit(request.raw)
    context.isGranted = true
    context.reason = 'service'
    setContext(request.raw, context)
    if (error) throw error
  })
}
