/** Creates the Fastify instance for the own endpoints of a listener. */
import Fastify, { type FastifyInstance } from 'fastify'
import { admittedOf } from '../request.ts'
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
}

export async function createEndpoints({ log, uriLimit, document }: EndpointsOptions): Promise<FastifyInstance> {
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
  await describeEndpoints(app, document)
  return app
}
