/** Serves a request of the service listener: every path belongs to Fastify, and ordinary calls may
 *  go past it. */
import type { FastifyInstance } from 'fastify'
import type { Admit } from '../http/admit.ts'
import type { FindOrdinary, Handler } from '../http/handler.ts'
import type { Peers } from '../http/network.ts'

export interface ServiceHandlerDeps {
  readonly admit: Admit
  readonly peers: Peers
  readonly routing: FastifyInstance['routing']
  readonly ordinary: FindOrdinary
  readonly underWay: { enter(): void; leave(): void }
}

export function createServiceHandler({ admit, peers, routing, ordinary, underWay }: ServiceHandlerDeps): Handler {
  return {
    admit,
    peers,
    serve({ record }, req, res) {
      record.granted('service', null, null)
      routing(req, res)
    },
    ordinary,
    upgrade: null,
    refuse: (_res, send) => send(),
    enter: () => underWay.enter(),
    leave: () => underWay.leave()
  }
}
