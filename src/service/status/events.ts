/** GET /v1/status/events: the live part of the status as server-sent events. */
import type { FastifyInstance } from 'fastify'
import { withProblems } from '../../http/endpoints/openapi.ts'
import { Type } from '../../schema.ts'
import type { StatusStreams } from './streams.ts'

export interface StatusEventsDeps {
  readonly statusStreams: Pick<StatusStreams, 'open'>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** False once the credential of the request no longer counts. Null: it counts until a
     *  reload. */
    isEntitled: (() => boolean) | null
  }
}

const forever = () => true

export function addStatusEvents(app: FastifyInstance, { statusStreams }: StatusEventsDeps): void {
  const stream = {
    description: 'Once a second an event `sample`, whose data is JSON; docs/console.md has its members.',
    content: { 'text/event-stream': { schema: Type.String() } }
  }
  const schema = {
    operationId: 'watchStatus',
    summary: 'Requests, errors, durations and the load of every target, once a second',
    description:
      'It ends with the credential, at a reload and when the gateway drains; connect again. A process serves 32 streams.',
    tags: ['admin'],
    response: withProblems({ 200: stream }, ['overloaded'])
  }
  // Without a route for HEAD, whose answer would not end.
  app.get('/status/events', { schema, exposeHeadRoute: false }, (request, reply) => {
    statusStreams.open(reply.raw, request.isEntitled ?? forever)
    reply.hijack()
  })
}
