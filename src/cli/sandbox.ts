/** `wxgate sandbox`: runs the sandbox of api.weixin.qq.com as a separate process. */
import { parseArgs } from 'node:util'
import { systemClock } from '../clock.ts'
import { createSandbox } from '../sandbox/server.ts'
import type { CliIo } from './io.ts'
import { readPort } from './ports.ts'
import { refuseCommandLine } from './usage.ts'

const USAGE = `Usage: wxgate sandbox [--port 9400] [--host 127.0.0.1] [--latency MS] [--app APPID:SECRET]…

Stands in for api.weixin.qq.com. The code sandbox-alice is always user alice; docs/sandbox.md has the rest.

  --port     port to listen on (9400; 0 takes a free one)
  --host     address to listen on (127.0.0.1); anyone who can reach it can control the sandbox
  --latency  milliseconds before every answer of WeChat's (0)
  --app      a mini-program and its secret, repeatable; without it every appid is accepted
`

const MAX_LATENCY = 600_000

interface SandboxArguments {
  readonly port: number
  readonly host: string
  readonly latency: number
  readonly apps: readonly { readonly appid: string; readonly secret: string }[]
}

export interface RunningSandbox {
  readonly url: string
  close(): Promise<void>
}

/** Resolves with the exit status: at once for wrong arguments (2) or a port in use (1),
 *  otherwise when `stop` is aborted (0). */
export async function run(args: readonly string[], io: CliIo, stop?: AbortSignal): Promise<number> {
  const started = await startSandbox(args, io)
  if (typeof started === 'number') return started
  await new Promise<void>((resolve) => {
    if (stop?.aborted) resolve()
    else stop?.addEventListener('abort', () => resolve(), { once: true })
  })
  await started.close()
  return 0
}

/** Returns the listening sandbox, or the exit status. */
export async function startSandbox(args: readonly string[], io: CliIo): Promise<RunningSandbox | number> {
  let parsed: SandboxArguments | null
  try {
    parsed = readArguments(args)
  } catch (error) {
    return refuseCommandLine('sandbox', error, USAGE, io)
  }
  if (parsed === null) {
    io.stdout(USAGE)
    return 0
  }
  const { port, host, latency, apps } = parsed
  const sandbox = createSandbox({ clock: systemClock, latency, ...(apps.length > 0 ? { apps } : {}) })
  try {
    const { url } = await sandbox.listen(port, host)
    const app = apps[0]
      ? { appid: apps[0].appid, secret: 'SECRET' }
      : { appid: 'wx0000000000000000', secret: 'sandbox' }
    const query = `appid=${app.appid}&secret=${app.secret}&js_code=sandbox-alice&grant_type=authorization_code`
    io.stdout(`Sandbox of api.weixin.qq.com on ${url}\n\n  curl '${url}/sns/jscode2session?${query}'\n`)
    const push = { url: `http://127.0.0.1:8080/wechat/push/${app.appid}`, appid: app.appid, token: 'TOKEN' }
    io.stdout(
      `\nIt sends message push in every mode (docs/push.md)\n\n` +
        `  curl '${url}/sandbox/push' -d '${JSON.stringify({ ...push, encodingAesKey: 'KEY', user: 'alice' })}'\n`
    )
    io.stdout(
      `\nIt plays the pay API too: a merchant with its keys, then the payment of an order (docs/pay.md)\n\n` +
        `  curl '${url}/sandbox/pay/merchants' -d '{"mchid":"1900000001"}'\n` +
        `  curl '${url}/sandbox/pay/notices' -d '{"out_trade_no":"ORDER"}'\n`
    )
    io.stdout(
      `\nIt issues keys of the encrypted channel (docs/channel.md), and demands API signatures once it has an app's keys\n` +
        `(docs/egress.md)\n\n` +
        `  curl '${url}/sandbox/user-keys' -d '{"appid":"${app.appid}","user":"alice"}'\n` +
        `  curl '${url}/sandbox/api-signature' -d '{"appid":"${app.appid}","symmetricKey":"KEY","symmetricKeySn":"SN","publicKey":"PEM"}'\n`
    )
    return { url, close: () => sandbox.close() }
  } catch (error) {
    io.stderr(`wxgate sandbox: cannot listen on ${host}:${port}: ${error instanceof Error ? error.message : error}\n`)
    return 1
  }
}

/** Null for --help. Throws for wrong arguments. */
function readArguments(args: readonly string[]): SandboxArguments | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      port: { type: 'string', default: '9400' },
      host: { type: 'string', default: '127.0.0.1' },
      latency: { type: 'string', default: '0' },
      app: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  if (values.help) return null
  const latency = wholeNumber(values.latency, MAX_LATENCY)
  if (latency === null) throw new Error(`--latency must be 0 to ${MAX_LATENCY} milliseconds`)
  const apps = values.app.map((text) => /^([^:]+):(.+)$/.exec(text)).map((match) => [match?.[1], match?.[2]] as const)
  const known = apps.flatMap(([appid, secret]) => (appid && secret ? [{ appid, secret }] : []))
  if (known.length < apps.length) throw new Error('--app must be APPID:SECRET')
  return { port: readPort('--port', values.port), host: values.host, latency, apps: known }
}

function wholeNumber(text: string, most: number): number | null {
  return /^\d{1,6}$/.test(text) && Number(text) <= most ? Number(text) : null
}
