/** Creates the Fastify instance for the own endpoints of a listener. */
import Fastify, { type FastifyInstance } from 'fastify'
import { admittedOf } from '../request.ts'
import type { Tracing } from '../tracing.ts'
import { type ErrorLog, useErrors } from './errors.ts'
import { type DocumentOptions, describeEndpoints } from './openapi.ts'
import { answerUnknownPaths } from './unknown-paths.ts'
import { schemaController } from './validators.ts'

/** Bytes; open data is the largest body. */
const BODY_LIMIT = 256 * 1024

export interface EndpointsOptions {
  readonly log: ErrorLog
  /** Bytes of a request target. */
  readonly uriLimit: number
  readonly document: DocumentOptions
  /** Default: requests have no traces. */
  readonly tracing?: Pick<Tracing, 'named' | 'around'> | null
}

export async function createEndpoints({
  log,
  uriLimit,
  document,
  tracing = null
}: EndpointsOptions): Promise<FastifyInstance> {
  const app = Fastify({
    logger: false,
    schemaController,
    bodyLimit: BODY_LIMIT,
    // The router sees the canonical path.
    rewriteUrl(raw) {
      const { path, query } = admittedOf(raw).target
      return path + query
    },
    // Fastify would refuse a longer parameter in its own format; admission limits the whole target.
    routerOptions: { maxParamLength: uriLimit }
  })
  useErrors(app, log)
  answerUnknownPaths(app)
  if (tracing !== null) {
    app.addHook('onRequest', async ({ raw, routeOptions }) => tracing.named(raw, routeOptions.url ?? ''))
    // The body has been read: its events belong to the connection and not to the request.
    app.addHook('preHandler', ({ raw }, _, done) => tracing.around(raw, done))
  }
  await describeEndpoints(app, document)
  return app
}
