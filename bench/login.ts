/** Measures a login and a start of the package. The sandbox is a separate process, so that it does
 *  not count as the gateway's CPU. `node bench/login.ts` measures only this. */
import { buildPackage } from './package-build.ts'
import { pinMyself, temporaryFolder } from './processes.ts'
import { median } from './statistics.ts'
import { logIn } from './tokens.ts'
import { APP_ID, type RunningWxgate, startSandbox, startWxgate } from './wxgate.ts'

export interface LoginFigures {
  readonly cpuMsPerLogin: number
  readonly loginsPerSecond: number
  /** Median of the starts, from the start of the process to the first 200 of /readyz. */
  readonly readyMs: number
  readonly description: string
}

const LOGINS = 1000
const STARTS = 5
const CONCURRENCY = 16
/** Discard (RFC 863): nothing is proxied here. */
const UNUSED_PORT = 9

export async function measureLogin(core: number, loadCore: number): Promise<LoginFigures> {
  const folder = temporaryFolder()
  const build = await buildPackage(folder)
  const sandbox = await startSandbox(loadCore)
  try {
    const start = (name: string, cores: number | string): Promise<RunningWxgate> =>
      startWxgate({
        build,
        core: cores,
        folder,
        name,
        upstreamPort: UNUSED_PORT,
        accessLog: true,
        apiBase: sandbox.url
      })
    const readyMs: number[] = []
    // The first start compiles all code and writes the cache of it when it ends.
    for (let i = 0; i <= STARTS; i += 1) {
      // A start gets both cores, as in production.
      const gateway = await start(`start-${i}`, `${core},${loadCore}`)
      if (i > 0) readyMs.push(gateway.readyMs)
      await gateway.process.stop()
    }
    const gateway = await start('login', core)
    const cpuBefore = gateway.process.cpuMicros()
    const before = performance.now()
    await logIn(gateway.port, APP_ID, LOGINS, CONCURRENCY)
    const loginsPerSecond = (LOGINS * 1000) / (performance.now() - before)
    const cpuMsPerLogin = (gateway.process.cpuMicros() - cpuBefore) / 1000 / LOGINS
    await gateway.process.stop()
    return {
      cpuMsPerLogin,
      loginsPerSecond,
      readyMs: median(readyMs),
      description:
        `${LOGINS} first logins of different users, ${CONCURRENCY} at a time, in a gateway that has just started, with SQLite and the ` +
        `sandbox in a process of its own: ${cpuMsPerLogin.toFixed(2)} ms CPU each, ${loginsPerSecond.toFixed(0)} a second. ` +
        `${STARTS} starts of the package took ${readyMs.map((ms) => ms.toFixed(0)).join(', ')} ms from the start of the process to the first 200 of /readyz.`
    }
  } finally {
    await sandbox.process.stop()
  }
}

if (import.meta.main) {
  pinMyself(1)
  const { description } = await measureLogin(0, 1)
  process.stdout.write(`${description}\n`)
}
