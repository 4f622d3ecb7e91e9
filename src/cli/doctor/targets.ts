/** Checks that each target accepts connections and, with a health path, is healthy. */
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'
import type { HealthCheckConfig, TlsClientConfig } from '../../config/config.ts'
import { lifeFaults } from '../../crypto/certificate-chain.ts'
import { reasonOf } from '../../errors.ts'
import { request as httpRequest } from '../../node-http.ts'
import { type Finding, failed, ok, warning } from './finding.ts'

export interface CheckedUpstream {
  readonly name: string
  readonly targets: readonly { readonly url: string }[]
  readonly timeouts: { readonly connect: number; readonly response: number }
  readonly tls: TlsClientConfig
  readonly healthCheck: HealthCheckConfig | null
}

export async function checkTargets(upstreams: readonly CheckedUpstream[], now: number): Promise<Finding[]> {
  const findings = upstreams.flatMap((upstream) =>
    upstream.targets.map(({ url }) =>
      checkTarget(upstream, url, now).catch((error) => unreachable(upstream, url, error))
    )
  )
  return (await Promise.all(findings)).flat()
}

async function checkTarget(upstream: CheckedUpstream, url: string, now: number): Promise<Finding[]> {
  const subject = subjectOf(upstream, url)
  const { host, port, socketPath, isTls } = place(url)
  const socket = await open(upstream, { host, port, socketPath, isTls })
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  const { healthCheck } = upstream
  const findings: Finding[] = []
  if (healthCheck === null) {
    socket.destroy()
    findings.push(ok(subject, 'accepts connections'))
  } else {
    const { path, statuses } = healthCheck
    const status = await askHealth(socket, host, healthCheck).finally(() => socket.destroy())
    const isHealthy = statuses.some(({ from, to }) => status >= from && status <= to)
    findings.push(
      isHealthy
        ? ok(subject, `${path} answers ${status}`)
        : failed(subject, `${path} answers ${status}`, 'repair the backend, or correct healthCheck (path, status)')
    )
  }
  for (const { kind, day } of certificate ? lifeFaults(certificate, now) : []) {
    if (kind === 'expiring') findings.push(warning(subject, `its certificate ends on ${day}`, 'renew it'))
  }
  return findings
}

function unreachable(upstream: CheckedUpstream, url: string, error: unknown): Finding[] {
  const code = reasonOf(error)
  const isCertificate = /CERT|SIGNATURE|ERR_TLS|ERR_SSL/.test(code)
  const advice = isCertificate
    ? `renew the certificate of the backend, or set upstreams.${upstream.name}.tls (ca, serverName)`
    : 'start the backend, or correct the URL, DNS and firewall'
  return [failed(subjectOf(upstream, url), `cannot be connected to (${code})`, advice)]
}

function subjectOf({ name }: CheckedUpstream, url: string): string {
  return `upstream ${name} ${url}`
}

interface Place {
  readonly host: string
  readonly port: number
  readonly socketPath: string | null
  readonly isTls: boolean
}

function place(url: string): Place {
  if (url.startsWith('unix:'))
    return { host: 'localhost', port: 0, socketPath: url.slice('unix:'.length), isTls: false }
  const { hostname, port, protocol } = new URL(url)
  const isTls = protocol === 'https:'
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) || (isTls ? 443 : 80), socketPath: null, isTls }
}

function open({ tls, timeouts }: CheckedUpstream, { host, port, socketPath, isTls }: Place): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const address = socketPath === null ? { host, port } : { path: socketPath }
    const socket = isTls ? connectTls({ ...address, ...tlsOptions(tls, host) }) : connectPlain(address)
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new DOMException('', 'TimeoutError'))
    }, timeouts.connect)
    socket.once(isTls ? 'secureConnect' : 'connect', () => {
      clearTimeout(timer)
      resolve(socket)
    })
    socket.on('error', (error) => {
      clearTimeout(timer)
      reject(error)
    })
  })
}

function tlsOptions({ ca, cert, key, serverName, insecureSkipVerify }: TlsClientConfig, host: string) {
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key }),
    servername: serverName ?? (/^[\d.]+$|:/.test(host) ? '' : host),
    rejectUnauthorized: !insecureSkipVerify
  }
}

function askHealth(socket: Socket, name: string, { host, path, headers, timeout }: HealthCheckConfig) {
  return new Promise<number>((resolve, reject) => {
    const request = socket instanceof TLSSocket ? httpsRequest : httpRequest
    const options = {
      createConnection: () => socket,
      path,
      headers: { 'user-agent': 'wxgate', ...headers, host: host ?? name },
      signal: AbortSignal.timeout(timeout)
    }
    request(options, (response: IncomingMessage) => {
      response.resume()
      response.on('error', () => {})
      resolve(response.statusCode ?? 0)
    })
      .on('error', reject)
      .end()
  })
}
