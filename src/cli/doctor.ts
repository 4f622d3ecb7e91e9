/** `wxgate doctor`: checks a configuration against the systems that it names. */
import { dirname, resolve } from 'node:path'
import { systemClock } from '../clock.ts'
import type { GatewayConfig } from '../config/config.ts'
import { formatProblem } from '../config/problem.ts'
import { createLog } from '../telemetry/log.ts'
import { readCommandConfig } from './command-config.ts'
import { type ConfigArguments, loadConfigFrom } from './config-arguments.ts'
import { checkCertificates } from './doctor/certificates.ts'
import { type Check, type Finding, ok, warning } from './doctor/finding.ts'
import { checkMerchants } from './doctor/merchants.ts'
import { checkOtlp } from './doctor/otlp.ts'
import { checkPort, localUrl } from './doctor/ports.ts'
import { checkStore } from './doctor/store.ts'
import { checkTargets } from './doctor/targets.ts'
import { checkWeChat } from './doctor/wechat.ts'
import type { CliIo } from './io.ts'

const USAGE = `Usage: wxgate doctor [-c FILE] [--allow NAME[,NAME]]

Checks what a valid configuration needs: AppSecret and IP allow list of each app, the keys of its merchant, the clock, the
store, the targets, certificates, free ports, the collector. Prints a line per check, and exits with 1 when one failed. Changes nothing.

  -c, --config  the configuration (WXGATE_CONFIG, or gateway.yaml)
  --allow       settings that need permission by name (WXGATE_ALLOW)
`

const MARKS = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' } as const

export async function run(args: readonly string[], io: CliIo): Promise<number> {
  const load = (values: ConfigArguments) => loadConfigFrom(values, io)
  const command = await readCommandConfig({ name: 'doctor', usage: USAGE, args, io, load })
  if (typeof command === 'number') return command
  const { name, loaded } = command
  const first = [
    ok(name, 'is valid'),
    ...loaded.warnings.map((problem) => warning(name, formatProblem(problem), 'see wxgate validate'))
  ]
  for (const finding of first) io.stdout(line(finding))
  let hasFailed = false
  // Runs the checks at once and prints them in their order.
  const running = checksOf(loaded.config, dirname(resolve(io.cwd, name))).map((check) => check())
  for (const check of running) {
    for (const finding of await check) {
      io.stdout(line(finding))
      if (finding.status === 'failed') hasFailed = true
    }
  }
  return hasFailed ? 1 : 0
}

function checksOf(config: GatewayConfig, baseDir: string): Check[] {
  const { server, service, wechat, apps, store, upstreams, telemetry } = config
  const clock = systemClock
  const now = clock.now()
  const log = createLog({ level: 'silent' }, { write() {} })
  const certFiles = new Set([server.tls, service.tls].flatMap((tls) => tls?.map(({ certFile }) => certFile) ?? []))
  const serviceListener = { host: service.host, port: service.port, isTls: service.tls !== null }
  return [
    () => checkWeChat({ ...wechat, apps, now: clock.now }),
    () => checkMerchants({ wechat, apps, clock }),
    () => checkStore({ store, baseDir, clock, log }),
    () => checkTargets(upstreams, now),
    async () => checkCertificates([...certFiles], now),
    () => checkPort({ key: 'server', host: server.host, port: server.port, isTls: server.tls !== null }),
    ...[server.redirectHttp ?? []].flat().map(
      ({ port }) =>
        () =>
          checkPort({ key: 'server.redirectHttp', host: server.host, port, isTls: false })
    ),
    () => checkPort({ key: 'service', ...serviceListener }),
    () => checkOtlp({ otlp: telemetry.otlp, metricsUrl: `${localUrl(serviceListener)}/metrics` })
  ]
}

function line({ status, subject, message, advice }: Finding): string {
  return `${MARKS[status]} ${subject}: ${message}${advice === undefined ? '' : `. To do: ${advice}`}\n`
}
