/** The composition that wxgate is compared with: Fastify, @fastify/jwt and @fastify/http-proxy,
 *  assembled as in their documentation. One route, the token verified in preValidation, the
 *  identity set in rewriteRequestHeaders. The benchmark starts it with PORT, UPSTREAM, SECRET and
 *  LOG (1: Fastify's request log to standard output), and for TLS CERT and KEY, the paths of PEM
 *  files. */
import { readFileSync } from 'node:fs'
import httpProxy from '@fastify/http-proxy'
import jwt from '@fastify/jwt'
import { fastify } from 'fastify'

interface Claims {
  readonly openid: string
}

const { PORT = '0', UPSTREAM = '', SECRET = '', LOG = '0', CERT, KEY } = process.env
const https = CERT === undefined || KEY === undefined ? null : { cert: readFileSync(CERT), key: readFileSync(KEY) }

const app = fastify({ logger: LOG === '1', https })
await app.register(jwt, { secret: SECRET, verify: { algorithms: ['HS256'] } })
await app.register(httpProxy, {
  upstream: UPSTREAM,
  prefix: '/api/orders',
  rewritePrefix: '/api/orders',
  preValidation: async (request) => {
    await request.jwtVerify()
  },
  replyOptions: {
    rewriteRequestHeaders: (request, headers) => {
      const { authorization: _, ...others } = headers
      return { ...others, 'x-openid': (request as unknown as { user: Claims }).user.openid }
    }
  }
})
await app.listen({ port: Number(PORT), host: '127.0.0.1' })
