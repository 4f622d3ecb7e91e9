/** `wxgate dev`: the gateway in front of one backend, without a file and without WeChat. */
import { parseArgs } from 'node:util'
import { newSecret } from '../config/generated-secret.ts'
import { type LoadResult, loadConfig } from '../config/load.ts'
import type { Problem } from '../config/problem.ts'
import { describeConsole } from './console-address.ts'
import type { ProcessIo } from './io.ts'
import { describeStartError } from './listen-errors.ts'
import { readPort } from './ports.ts'
import { type RunningGateway, start } from './start.ts'
import { refuseCommandLine } from './usage.ts'
import { tryIt } from './welcome.ts'

const USAGE = `Usage: wxgate dev --to URL [--path /api] [--port 8080] [--host 127.0.0.1]

Puts the gateway in front of one backend. Needs no file: the sandbox stands in for WeChat, sessions are in memory.

  --to    the backend, such as http://127.0.0.1:3000
  --path  the path that is passed on, for requests with a token (/api)
  --port  port to listen on (8080; 0 takes a free one)
  --host  address to listen on (127.0.0.1); anyone who can reach another one can log in under every name
`

const APPID = 'wxsandbox00000001'
/** Flags by the place in the configuration that they fill. */
const FLAGS: readonly (readonly [string, string])[] = [
  ['upstreams', '--to'],
  ['routes', '--path'],
  ['server.host', '--host'],
  ['server.port', '--port']
]

interface DevOptions {
  readonly to: string
  readonly path: string
  readonly port: number
  readonly host: string
}

export async function run(args: readonly string[], io: ProcessIo): Promise<number> {
  let options: DevOptions | null
  let loaded: Extract<LoadResult, { ok: true }>
  try {
    options = readOptions(args)
    if (options === null) {
      io.stdout(USAGE)
      return 0
    }
    loaded = load(options)
  } catch (error) {
    return refuseCommandLine('dev', error, USAGE, io)
  }
  const { config } = loaded
  try {
    const running = await start({ config, source: null, io, isInteractive: true })
    await running.gateway.ready()
    io.stdout(welcome(options, running))
    return await running.untilStopped()
  } catch (error) {
    const advice = error instanceof Error && 'port' in error ? ' See --port and --host.' : ''
    io.stderr(`wxgate dev could not start: ${describeStartError(error, config, null, io.cwd)}${advice}\n`)
    return 1
  }
}

/** Null for --help. */
function readOptions(args: readonly string[]): DevOptions | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      to: { type: 'string' },
      path: { type: 'string', default: '/api' },
      port: { type: 'string', default: '8080' },
      host: { type: 'string', default: '127.0.0.1' },
      help: { type: 'boolean', short: 'h' }
    }
  })
  if (values.help) return null
  if (values.to === undefined) throw new Error('--to is missing: name your backend, such as --to http://127.0.0.1:3000')
  return { to: values.to, path: values.path, port: readPort('--port', values.port), host: values.host }
}

/** Throws an error that names the flag. */
function load({ to, path, port, host }: DevOptions): Extract<LoadResult, { ok: true }> {
  const config = {
    version: 1,
    server: { host, port },
    service: { port: 0 },
    secrets: [newSecret()],
    apps: [{ appid: APPID, secret: 'sandbox' }],
    store: 'memory:',
    upstreams: { backend: { targets: [{ url: to }] } },
    routes: [{ path, upstream: 'backend' }]
  }
  const text = JSON.stringify(config)
  const loaded = loadConfig({ file: 'wxgate dev', text, env: {}, production: false, allow: new Set() })
  if (loaded.ok) return loaded
  throw new Error(loaded.problems.map(describeProblem).join('\n'))
}

function describeProblem({ path, message, hint }: Problem): string {
  const flag = FLAGS.find(([prefix]) => path.startsWith(prefix))?.[1] ?? path
  const text = hint === undefined ? message : `${message} (${hint})`
  // A rule across sections names the other key in its text.
  return `${flag} ${text.replaceAll('server.port', '--port')}`
}

function welcome({ to, path }: DevOptions, running: RunningGateway): string {
  const { edgeUrl, serviceUrl, sandboxUrl } = running
  return `
  gateway          ${edgeUrl}
  ${path.padEnd(16)} ${to}   (your backend; sees X-OpenId)
  WeChat           ${sandboxUrl}   (the sandbox)
  service listener ${serviceUrl}   (for backends and operators)
${describeConsole(running)}
Log in as alice; then log in and call your backend:

${tryIt({ edgeUrl, path, apps: [{ appId: APPID }], isSandbox: true })}
`
}
