/** Refuses requests for a foreign host. A web page whose name resolves to this listener (DNS
 *  rebinding) could read answers that need no token; its browser sends that name as Host. */
import type { FastifyInstance } from 'fastify'
import type { ServiceConfig } from '../config/config.ts'
import { ApiError } from '../errors.ts'
import { isLoopback } from '../http/addresses.ts'
import { createSpellings } from '../http/headers/spellings.ts'
import { admittedOf } from '../http/request.ts'

const FOREIGN = new ApiError('forbidden', 'The Host of the request is not listed under service.hosts.')

/** True for a host under which the listener may be asked, whatever its port: a forwarded port has
 *  another number. */
export type IsKnownHost = (host: string) => boolean

export function createHostCheck(config: Pick<ServiceConfig, 'host' | 'hosts'>): IsKnownHost {
  const known = new Set(
    [config.host, ...config.hosts].map(nameOf).filter((name) => name !== '0.0.0.0' && name !== '::')
  )
  return createSpellings((host) => {
    const name = nameOf(host)
    // HTTP/1.0 without Host: no browser sends it.
    return name === '' || known.has(name) || isLoopback(name)
  })
}

/** Checks the endpoints that are registered in `scope`. */
export function addHostCheck(scope: FastifyInstance, isKnownHost: IsKnownHost): void {
  scope.addHook('onRequest', (request, _reply, done) => {
    const { host } = admittedOf(request.raw).headers
    if (isKnownHost(host) || nameOf(host) === nameOf(request.raw.socket.localAddress ?? '')) done()
    else done(FOREIGN)
  })
}

/** The host in lower case, without port, brackets, final dot or the IPv6 form of an IPv4
 *  address. */
function nameOf(host: string): string {
  const isBareIpv6 = host.split(':').length > 2 && !host.startsWith('[')
  return (isBareIpv6 ? host : host.replace(/:\d*$/, ''))
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .replace(/^::ffff:(?=\d+\.)/, '')
}
