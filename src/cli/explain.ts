/** `wxgate explain`: passes a request through the code that would serve it and prints the
 *  decisions. Sends nothing. */
import { existsSync } from 'node:fs'
import { isIP } from 'node:net'
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { generatedSecretFile, newSecret, resolveGeneratedSecret } from '../config/generated-secret.ts'
import { didYouMean, formatProblem } from '../config/problem.ts'
import { METHODS } from '../node-http.ts'
import type { ExplainedRequest } from '../proxy/explain/explained-request.ts'
import { CONFIG_USAGE, configFile, configOptions, loadConfigFrom } from './config-arguments.ts'
import { explainOffline } from './explain-offline.ts'
import { formatExplanation } from './explanation-text.ts'
import type { CliIo } from './io.ts'
import { refuseCommandLine } from './usage.ts'

const USAGE = `Usage: wxgate explain METHOD PATH [-c FILE] [-H 'Name: value']… [--from ADDRESS] [--format text|json]

Shows the way of a request: its route with the reason, its user, the upstream's request and the stripped headers. Sends
nothing. A token given with -H 'Authorization: Bearer …' is verified with the secrets of the file; the state of its
session is not known here.

${CONFIG_USAGE}  -H, --header  a header of the request, any number of times
  --from        the address that the connection comes from (192.0.2.1)
  --format      text (default) or json
`

/** 0 for every answer, refusals included; 2 for an invalid command line or configuration. */
export async function run(args: readonly string[], io: CliIo): Promise<number> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...configOptions,
        header: { type: 'string', short: 'H', multiple: true, default: [] },
        from: { type: 'string', default: '192.0.2.1' },
        format: { type: 'string', default: 'text' },
        help: { type: 'boolean', short: 'h', default: false }
      }
    })
    if (values.help) {
      io.stdout(USAGE)
      return 0
    }
    const [method, target, ...others] = positionals
    if (method === undefined || target === undefined)
      throw new Error('METHOD and PATH are needed, such as GET /api/orders')
    if (others.length > 0) throw new Error(`there is one argument too many: ${JSON.stringify(others[0])}`)
    if (!METHODS.includes(method)) throw new Error(unknownMethod(method))
    if (values.format !== 'text' && values.format !== 'json') throw new Error('--format must be text or json')
    if (isIP(values.from) === 0) throw new Error('--from must be an IP address')
    const rawHeaders = values.header.flatMap(readHeader)
    const loaded = loadConfigFrom(values, io)
    if (!loaded.ok) {
      for (const problem of loaded.problems) io.stderr(`${formatProblem(problem)}\n`)
      return 2
    }
    const { config, isSecretKnown } = withSecret(loaded.config)
    const request: ExplainedRequest = { method, target, rawHeaders, from: values.from }
    const explanation = await explainOffline(config, request, {
      placeOf: (index) => `${configFile(values, io.env)}:${loaded.routeLines[index]}`,
      clock: systemClock,
      isSecretKnown
    })
    io.stdout(values.format === 'json' ? `${JSON.stringify(explanation, null, 2)}\n` : formatExplanation(explanation))
    return 0
  } catch (error) {
    return refuseCommandLine('explain', error, USAGE, io)
  }
}

function unknownMethod(method: string): string {
  return `there is no method ${JSON.stringify(method)}, ${didYouMean(method, METHODS) ?? 'write METHOD first, such as GET'}`
}

function readHeader(line: string): [string, string] {
  const colon = line.indexOf(':')
  if (colon < 0) throw new Error(`a header needs a name and a value, such as -H 'X-A: 1', not ${JSON.stringify(line)}`)
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
}

/** Creates no secret file: until the gateway's first start a random secret replaces the word
 *  `generated`. */
function withSecret(config: GatewayConfig): { config: GatewayConfig; isSecretKnown: boolean } {
  const file = generatedSecretFile(config.store)
  const isSecretKnown = !config.secrets.includes('generated') || (file !== null && existsSync(file))
  if (isSecretKnown) return { config: resolveGeneratedSecret(config), isSecretKnown }
  const secrets = config.secrets.map((secret) => (secret === 'generated' ? newSecret() : secret))
  return { config: { ...config, secrets }, isSecretKnown }
}
