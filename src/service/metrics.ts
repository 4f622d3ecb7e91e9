/** GET /metrics, for Prometheus. */
import type { FastifyInstance } from 'fastify'
import { PUBLIC } from '../http/endpoints/openapi.ts'
import { Type } from '../schema.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface MetricsDeps {
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  /** In a worker: the metrics of all workers; null when they do not answer. */
  readonly groupMetrics: (() => Promise<string | null>) | null
}

export function addMetrics(app: FastifyInstance, { metrics, groupMetrics }: MetricsDeps): void {
  const text = { description: 'The metrics.', content: { 'text/plain': { schema: Type.String() } } }
  const schema = {
    operationId: 'getMetrics',
    summary: 'Metrics for Prometheus',
    description: 'Text exposition format 0.0.4. With several workers: the sum of all of them.',
    tags: ['operation'],
    security: PUBLIC,
    response: { 200: text }
  }
  app.get('/metrics', { schema }, async (_request, reply) => {
    reply.header('content-type', metrics.contentType)
    return (await groupMetrics?.()) ?? metrics.text()
  })
}
