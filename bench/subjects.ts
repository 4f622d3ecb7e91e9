/** The measured programs. Every subject proxies GET /api/orders to the same upstream and has
 *  the core to itself; those that check tokens send X-OpenId upstream. */
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort, type Process, startProcess, versionOf, waitUntilUp } from './processes.ts'
import { logIn, signTokens } from './tokens.ts'
import { APP_ID, type Build, OWN_BUILD, startWxgate, type TlsFiles } from './wxgate.ts'

export interface Surroundings {
  readonly core: number
  readonly upstreamPort: number
  readonly folder: string
  /** Number of different tokens in the second measurement of a subject. */
  readonly tokenCount: number
  readonly tls?: TlsFiles
}

export interface Running {
  readonly port: number
  readonly isTls?: boolean
  readonly process: Process
  /** Empty for a plain proxy. */
  readonly tokens: readonly string[]
  /** Emptied between measurements. */
  readonly logFile?: string
}

export interface Subject {
  readonly name: string
  /** Null when the subject ignores tokens. */
  readonly auth: string | null
  start(surroundings: Surroundings): Promise<Running>
}

export const REFERENCE = 'haproxy'
export const STOCK = 'stock'
export const BEFORE = 'wxgate-before'
const SECRET = 'another-secret-of-the-benchmark-known-to-everybody'

/** By the root of the code: gateways of one folder share sessions, so one round of logins serves
 *  all of them. */
const wxgateTokens = new Map<string, readonly string[]>()

/** @param routes In the file. */
export function wxgate(name: string, accessLog: boolean, build: Build = OWN_BUILD, routes = 1): Subject {
  const code = build.root === OWN_BUILD.root ? '' : `; another version, from ${BASELINE_VARIABLE}`
  return {
    name,
    auth: `access token from /auth/login; access log ${accessLog ? 'to a file' : 'off'}${code}`,
    async start({ core, upstreamPort, folder, tokenCount, tls }) {
      // Versions of wxgate do not share a database.
      const home = build.root === OWN_BUILD.root ? folder : join(folder, name)
      mkdirSync(home, { recursive: true })
      const started = await startWxgate({
        build,
        core,
        folder: home,
        name,
        upstreamPort,
        accessLog,
        apiBase: 'sandbox',
        routes,
        ...(tls === undefined ? {} : { tls })
      })
      try {
        const tokens = wxgateTokens.get(build.root) ?? (await logIn(started.port, APP_ID, tokenCount))
        wxgateTokens.set(build.root, tokens)
        return { ...started, tokens, isTls: tls !== undefined }
      } catch (error) {
        await started.process.stop()
        throw error
      }
    }
  }
}

export function stock(name: string, log: boolean, node = process.execPath): Subject {
  return {
    name,
    auth: `HS256; request log ${log ? 'to a file' : 'off'}`,
    async start({ core, upstreamPort, folder, tokenCount, tls }) {
      const port = await freePort()
      const logFile = join(folder, `${name}.log`)
      const stdout = openSync(logFile, 'a')
      const child = startProcess(node, [join(import.meta.dirname, 'stock.ts')], {
        core,
        stdout,
        env: {
          NODE_ENV: 'production',
          PORT: String(port),
          UPSTREAM: `http://127.0.0.1:${upstreamPort}`,
          SECRET,
          LOG: log ? '1' : '0',
          ...(tls === undefined ? {} : { CERT: tls.certFile, KEY: tls.keyFile })
        }
      })
      closeSync(stdout)
      return await up({
        port,
        process: child,
        tokens: signTokens(SECRET, tokenCount),
        logFile,
        isTls: tls !== undefined
      })
    }
  }
}

async function up(running: Running): Promise<Running> {
  try {
    const scheme = running.isTls ? 'https' : 'http'
    await waitUntilUp(`${scheme}://127.0.0.1:${running.port}/api/orders`, running.process, 15_000)
    return running
  } catch (error) {
    await running.process.stop()
    throw error
  }
}

export const haproxy: Subject = {
  name: REFERENCE,
  auth: 'jwt_verify HS256, expiry checked; no log',
  async start({ core, upstreamPort, folder, tokenCount, tls }) {
    const port = await freePort()
    const file = join(folder, `haproxy-${port}.cfg`)
    const pem = join(folder, `haproxy-${port}.pem`)
    if (tls !== undefined) writeFileSync(pem, readFileSync(tls.certFile, 'utf8') + readFileSync(tls.keyFile, 'utf8'))
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn 1000
defaults
  mode http
  timeout connect 2s
  timeout client 60s
  timeout server 30s
  http-reuse always
frontend edge
  bind 127.0.0.1:${port}${tls === undefined ? '' : ` ssl crt ${pem}`}
  http-request set-var(txn.bearer) http_auth_bearer
  http-request set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')
  http-request set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')
  http-request set-var(txn.now) date()
  http-request deny deny_status 401 unless { var(txn.alg) -m str HS256 }
  http-request deny deny_status 401 unless { var(txn.bearer),jwt_verify(txn.alg,"${SECRET}") 1 }
  http-request deny deny_status 401 if { var(txn.exp),sub(txn.now) -m int lt 0 }
  http-request set-header X-OpenId %[var(txn.bearer),jwt_payload_query('$.openid')]
  http-request del-header Authorization
  default_backend orders
backend orders
  server one 127.0.0.1:${upstreamPort}
`
    )
    const child = startProcess('haproxy', ['-db', '-f', file], { core })
    return await up({ port, process: child, tokens: signTokens(SECRET, tokenCount), isTls: tls !== undefined })
  }
}

/** @param directives Further ones of the location. */
export const nginx = (directives = ''): Subject => ({
  name: 'nginx',
  auth: null,
  async start({ core, upstreamPort, folder, tls }) {
    const port = await freePort()
    const home = join(folder, `nginx-${port}`)
    const certificate = tls && `ssl_certificate ${tls.certFile}; ssl_certificate_key ${tls.keyFile};`
    mkdirSync(home)
    const file = join(home, 'nginx.conf')
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    writeFileSync(
      file,
      `daemon off;
worker_processes 1;
pid ${home}/nginx.pid;
error_log stderr error;
events { worker_connections 1024; }
http {
  access_log off;
  keepalive_requests 1000000000;
${temporary.map((name) => `  ${name}_temp_path ${home}/${name};`).join('\n')}
  upstream orders { server 127.0.0.1:${upstreamPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port}${certificate === undefined ? '' : ' ssl'};
    ${certificate ?? ''}
    location / { proxy_pass http://orders; proxy_http_version 1.1; proxy_set_header Connection ""; ${directives} }
  }
}
`
    )
    const child = startProcess('nginx', ['-p', home, '-c', file], { core })
    return await up({ port, process: child, tokens: [], isTls: tls !== undefined })
  }
})

export const caddy: Subject = {
  name: 'caddy',
  auth: null,
  async start({ core, upstreamPort, folder, tls }) {
    const port = await freePort()
    const file = join(folder, `Caddyfile-${port}`)
    writeFileSync(
      file,
      `{
  admin off
  auto_https off
}
${tls === undefined ? 'http' : 'https'}://:${port} {
  bind 127.0.0.1
  ${tls === undefined ? '' : `tls ${tls.certFile} ${tls.keyFile}`}
  reverse_proxy 127.0.0.1:${upstreamPort}
}
`
    )
    const child = startProcess('caddy', ['run', '--config', file, '--adapter', 'caddyfile'], {
      core,
      env: { GOMAXPROCS: '1', XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
    })
    return await up({ port, process: child, tokens: [], isTls: tls !== undefined })
  }
}

/** The path of a second Node, such as 26 beside the 24 that npm brings. */
const NODE_VARIABLE = 'BENCH_NODE'
/** The folder of another version of wxgate, with its node_modules. It runs under the Node of the
 *  benchmark. */
const BASELINE_VARIABLE = 'BENCH_BASELINE'

/** Subjects that run under {@link NODE_VARIABLE} too. */
export function underSecondNode(env: NodeJS.ProcessEnv): Subject[] {
  const { [NODE_VARIABLE]: node } = env
  if (node === undefined) return []
  const version = versionOf(node, '--version')
  if (version === undefined) throw new Error(`${NODE_VARIABLE} is no Node that runs: ${node}`)
  const suffix = `node${/\d+/.exec(version)?.[0]}`
  return [wxgate(`wxgate-${suffix}`, true, { root: OWN_BUILD.root, node }), stock(`stock-${suffix}`, false, node)]
}

function furtherSubjects(env: NodeJS.ProcessEnv): Subject[] {
  const { [BASELINE_VARIABLE]: baseline } = env
  return [
    ...(baseline === undefined ? [] : [wxgate(BEFORE, true, { root: baseline, node: process.execPath })]),
    ...underSecondNode(env)
  ]
}

export const subjects: readonly Subject[] = [
  wxgate('wxgate', true),
  wxgate('wxgate-nolog', false),
  stock(STOCK, false),
  stock('stock-log', true),
  haproxy,
  nginx(),
  caddy,
  ...furtherSubjects(process.env)
]
