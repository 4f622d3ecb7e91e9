/** `wxgate healthcheck`: asks the gateway whether it is ready; for a container's HEALTHCHECK. */
import { parseArgs } from 'node:util'
import { request } from 'undici'
import { configFile, configOptions, loadConfigFrom } from './config-arguments.ts'
import type { CliIo } from './io.ts'
import { refuseCommandLine } from './usage.ts'

const USAGE = `Usage: wxgate healthcheck [--url URL] [-c FILE]

Exits with 0 when the gateway answers 200, with 1 when it does not.

  --url  the whole URL to ask (the edge's /readyz, as the configuration has it)
`

/** Milliseconds. */
const TIMEOUT = 4_000

export async function run(args: readonly string[], io: CliIo): Promise<number> {
  let url: URL
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { ...configOptions, url: { type: 'string' }, help: { type: 'boolean', short: 'h' } }
    })
    if (values.help) {
      io.stdout(USAGE)
      return 0
    }
    url = new URL(values.url ?? defaultUrl(values, io))
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new Error('--url must be an http or https URL')
  } catch (error) {
    return refuseCommandLine('healthcheck', error, USAGE, io)
  }
  try {
    const { default: undici } = await import('undici')
    // The certificate names the public host, and this is the same machine.
    const dispatcher = new undici.Agent({ connect: { timeout: TIMEOUT, rejectUnauthorized: false } })
    const { statusCode, body } = await request(url, {
      dispatcher,
      headersTimeout: TIMEOUT,
      bodyTimeout: TIMEOUT,
      signal: AbortSignal.timeout(TIMEOUT)
    })
    const text = (await body.text()).slice(0, 200)
    await dispatcher.close()
    io.stdout(`${statusCode} ${text}\n`)
    return statusCode === 200 ? 0 : 1
  } catch {
    io.stderr(`wxgate healthcheck: ${url.origin}${url.pathname} does not answer\n`)
    return 1
  }
}

/** Needs only `server` to be valid: a running gateway keeps its last good configuration. */
function defaultUrl(values: { config?: string; allow?: string[] }, io: CliIo): string {
  const loaded = loadConfigFrom(values, io)
  const { host, port, tls } = (loaded.ok ? loaded.config.server : loaded.draft?.server) ?? {}
  if (host === undefined || port === undefined)
    throw new Error(`${configFile(values, io.env)} is not valid: see wxgate validate, or name the --url`)
  const name = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return `${tls ? 'https' : 'http'}://${name}:${port}/readyz`
}
