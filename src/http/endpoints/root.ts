/** GET /: says what answers here. On the edge only while no route covers the path. */
import type { FastifyInstance } from 'fastify'
import { Type } from '../../schema.ts'
import { PUBLIC } from './openapi.ts'

const DOCUMENTATION = 'https://www.npmjs.com/package/wxgate'

/** @param about What this listener is, and paths worth opening. */
export function addRoot(app: FastifyInstance, about: Readonly<Record<string, string>>): void {
  const answer = { name: 'wxgate', ...about, documentation: DOCUMENTATION }
  const members = Object.fromEntries(Object.keys(answer).map((name) => [name, Type.String()]))
  const schema = {
    operationId: 'getRoot',
    summary: 'What answers here',
    description: 'One line for a person who opens this address.',
    tags: ['operation'],
    security: PUBLIC,
    response: { 200: Type.Object(members, { description: 'The gateway.' }) }
  }
  app.get('/', { schema }, async () => answer)
}
