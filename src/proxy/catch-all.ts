/** The catch-all through which Fastify hands requests to the proxy: @fastify/http-proxy for
 *  every method and path. The fast lane goes past it, so it is loaded after the start. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyHttpProxyOptions } from '@fastify/http-proxy'
import Fastify, { type FastifyReply, type FastifyRequest, type HTTPMethods } from 'fastify'
import { NodeClientSide } from '../http/answer/node-client-side.ts'
import { schemaController } from '../http/endpoints/validators.ts'
import type { Guard } from '../http/guard.ts'
import { admittedOf } from '../http/request.ts'
import { METHODS } from '../node-http.ts'
import type { ReverseProxy } from './proxy.ts'

const METHODS_OF_ROUTES = METHODS.filter((method): method is HTTPMethods => method !== 'CONNECT' && method !== 'TRACE')

export type Routing = (req: IncomingMessage, res: ServerResponse) => void

export interface CatchAll {
  /** Loads the plugin for the first request, which waits for it. */
  readonly routing: Routing
  /** Loads the plugin now. */
  load(): Promise<void>
}

export function createCatchAll(proxy: Pick<ReverseProxy, 'handle'>, guard: Pick<Guard, 'failed'>): CatchAll {
  let loading: Promise<Routing> | null = null
  let routing: Routing | null = null

  async function load(): Promise<Routing> {
    loading ??= build(proxy)
    try {
      routing = await loading
      return routing
    } catch (error) {
      loading = null
      throw error
    }
  }

  return {
    routing(req, res) {
      if (routing !== null) routing(req, res)
      else
        load().then(
          (loaded) => loaded(req, res),
          (error) => guard.failed(res, error)
        )
    },
    async load() {
      await load()
    }
  }
}

/** Fastify parses nothing here: for it no method has a body, and every target is "/". The proxy
 *  decides by the canonical path. The plugin's preHandler takes over the request; its `handler`
 *  would first build three unused URLs (docs/decisions/0001). */
async function build(proxy: Pick<ReverseProxy, 'handle'>): Promise<Routing> {
  const { default: httpProxy } = await import('@fastify/http-proxy')
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
