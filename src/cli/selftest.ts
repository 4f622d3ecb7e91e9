/** `wxgate selftest`: sends the attack corpus to a running gateway and prints a report. */
import { parseArgs } from 'node:util'
import { canonicalPath, PathRefusal } from '../http/path/canonical-path.ts'
import { Unsuitable } from '../selftest/facts.ts'
import { createReport, formatReport } from '../selftest/report.ts'
import { requestsPlanned, runSelftest } from '../selftest/run.ts'
import type { CliIo } from './io.ts'
import { refuseCommandLine } from './usage.ts'
import { version } from './version.ts'

const USAGE = `Usage: wxgate selftest --against URL --route PATH [--token TOKEN] [--backend [HOST:]PORT]
                       [--format text|json|markdown] [--timeout MS] [--yes]

Sends known attacks to a gateway and reports the ones that got through. Works with other gateways too.

  --against  the gateway, such as https://api.example.com
  --route    a path that asks for a token there
  --token    an access token of that gateway (or WXGATE_SELFTEST_TOKEN): adds the attacks of a client with a token.
             Some GET requests then reach the upstream. The token does not appear in the report
  --backend  address of the route's upstream: plays that backend (127.0.0.1 by default), so that its bad answers
             are tested too. Needs --token
  --format   text (default), json or markdown
  --timeout  milliseconds for one exchange (5000)
  --yes      confirms a gateway on another machine

Exit status: 0 no case failed, 1 a case failed, 2 the target could not be tested.
`

interface Arguments {
  readonly against: URL
  readonly route: string
  readonly token: string | null
  readonly format: 'text' | 'json' | 'markdown'
  readonly timeout: number
  readonly backend?: { readonly host: string; readonly port: number }
}

export async function run(args: readonly string[], io: CliIo): Promise<number> {
  let options: Arguments | null
  try {
    options = readArguments(args, io)
  } catch (error) {
    return refuseCommandLine('selftest', error, USAGE, io)
  }
  if (options === null) {
    io.stdout(USAGE)
    return 0
  }
  try {
    const result = await runSelftest(options)
    const { against, token } = options
    const report = createReport(result, { version: version(), now: new Date(), target: against.origin, token })
    io.stdout(formatReport(report, options.format))
    return report.passed ? 0 : 1
  } catch (error) {
    if (!(error instanceof Unsuitable)) throw error
    io.stderr(`wxgate selftest: ${error.message}\n`)
    return error.isUsage ? 2 : 1
  }
}

/** Null for --help. */
function readArguments(args: readonly string[], { env }: CliIo): Arguments | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      against: { type: 'string' },
      route: { type: 'string' },
      token: { type: 'string' },
      backend: { type: 'string' },
      format: { type: 'string', default: 'text' },
      timeout: { type: 'string', default: '5000' },
      yes: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  if (values.help) return null
  const { format, yes } = values
  if (values.against === undefined) throw new Error('--against is missing: there is no default target')
  if (values.route === undefined) throw new Error('--route is missing')
  if (format !== 'text' && format !== 'json' && format !== 'markdown')
    throw new Error('--format must be text, json or markdown')
  const timeout = Number(values.timeout)
  if (!Number.isInteger(timeout) || timeout < 100 || timeout > 60_000)
    throw new Error('--timeout must be 100 to 60000 milliseconds')
  const against = readTarget(values.against)
  if (!yes && !isLoopback(against.hostname)) {
    throw new Error(`this sends ${requestsPlanned()} hostile requests to ${against.host}: add --yes to confirm`)
  }
  const token = values.token ?? (env.WXGATE_SELFTEST_TOKEN || null)
  if (token !== null && !/^[A-Za-z0-9._~+/=-]{8,8000}$/.test(token)) throw new Error('--token must be one token')
  const backend = values.backend === undefined ? {} : { backend: readAddress(values.backend) }
  if (values.backend !== undefined && token === null) throw new Error('--backend needs --token')
  return { against, route: readRoute(values.route), token, format, timeout, ...backend }
}

function readTarget(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new Error('--against must be an http or https URL')
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '')
    throw new Error('--against must be an origin; the path goes into --route')
  return url
}

function readAddress(text: string): { host: string; port: number } {
  const match = /^(?:(.+):)?(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port < 1 || port > 65_535) throw new Error('--backend must be a port or HOST:PORT')
  return { host: match[1]?.replace(/^\[|\]$/g, '') ?? '127.0.0.1', port }
}

function readRoute(text: string): string {
  const path = canonicalPath(text)
  if (path instanceof PathRefusal || path.query !== '' || path.needs !== 0 || !/^\/[\w./~-]*$/.test(path.path))
    throw new Error('--route must be a plain path, such as /api')
  return path.path
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}
