/** The catch-all through which Fastify hands requests to the proxy: @fastify/http-proxy for
 *  every method and path. */
import { type IncomingMessage, METHODS, type ServerResponse } from 'node:http'
import httpProxy, { type FastifyHttpProxyOptions } from '@fastify/http-proxy'
import Fastify, { type FastifyReply, type FastifyRequest, type HTTPMethods } from 'fastify'
import { NodeClientSide } from '../http/answer/node-client-side.ts'
import { schemaController } from '../http/endpoints/validators.ts'
import { admittedOf } from '../http/request.ts'
import type { ReverseProxy } from './proxy.ts'

const METHODS_OF_ROUTES = METHODS.filter((method): method is HTTPMethods => method !== 'CONNECT' && method !== 'TRACE')

export type Routing = (req: IncomingMessage, res: ServerResponse) => void

/** Fastify parses nothing here: for it no method has a body, and every target is "/". The proxy
 *  decides by the canonical path. The plugin's preHandler takes over the request; its `handler`
 *  would first build three unused URLs (docs/decisions/0001). */
export async function createCatchAll(proxy: Pick<ReverseProxy, 'handle'>): Promise<Routing> {
  const app = Fastify({ logger: false, schemaController, rewriteUrl: () => '/' })
  for (const method of METHODS_OF_ROUTES) app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  const options: FastifyHttpProxyOptions = {
    upstream: 'http://upstream.invalid',
    httpMethods: METHODS_OF_ROUTES,
    preRewrite: () => '/',
    preHandler(request: FastifyRequest, reply: FastifyReply) {
      const { raw } = request
      reply.hijack()
      proxy.handle(admittedOf(raw), new NodeClientSide(reply.raw))
    }
  }
  app.register(httpProxy, options)
  await app.ready()
  return app.routing
}
