/** GET /metrics, for Prometheus. */
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Parts } from '../gateway/parts.ts'

export function addMetrics(app: FastifyInstance, { metrics, groupMetrics }: Parts): void {
  const text = { description: 'Text exposition format.', content: { 'text/plain': { schema: Type.String() } } }
  const schema = { summary: 'Metrics for Prometheus', tags: ['operation'], response: { 200: text } }
  const own = () => metrics.text()
  app.get('/metrics', { schema }, async (_request, reply) => {
    reply.header('content-type', metrics.contentType)
    return groupMetrics ? groupMetrics(own) : own()
  })
}
