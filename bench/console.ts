/** Measures what the open web console costs the gateway: `node bench/console.ts [ROUNDS]`. Four
 *  minutes. A client does what the page does: it signs in, follows the event stream and reads the
 *  status every five seconds. The console is closed and open in turns, with a fixed load and
 *  without one. The gateway is pinned to core 0; the load, the upstream and the client are this
 *  process on core 1. */
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { getRequest } from './load.ts'
import { runPaced } from './paced-load.ts'
import { pinMyself, temporaryFolder } from './processes.ts'
import { median } from './statistics.ts'
import { logIn } from './tokens.ts'
import { startUpstream } from './upstream.ts'
import { APP_ID, type RunningWxgate, SERVICE_TOKEN, startWxgate } from './wxgate.ts'

const GATEWAY_CORE = 0
const LOAD_CORE = 1
const ROUTES = 20
const LOAD_PER_SECOND = 1_000
const CONNECTIONS = 64
const WARM_UP_MS = 5_000
const MEASURED_MS = 10_000
/** Without load the counters of the kernel (10 ms) need longer. */
const IDLE_MS = 20_000
const STATUS_EVERY_MS = 5_000
/** Share of a core. */
const TARGET = 0.01

interface OpenConsole {
  readonly samples: number
  close(): void
}

async function openConsole({ servicePort }: RunningWxgate): Promise<OpenConsole> {
  const base = `http://127.0.0.1:${servicePort}/console`
  const own = { 'sec-fetch-site': 'same-origin', 'accept-encoding': 'gzip' }
  const body = JSON.stringify({ token: SERVICE_TOKEN })
  const init = { method: 'POST', headers: { ...own, 'content-type': 'application/json' }, body }
  const session = await fetch(`${base}/session`, init)
  const headers = { ...own, cookie: String(session.headers.get('set-cookie')).split(';')[0] ?? '' }
  let samples = 0
  const stream = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${base}/v1/status/events`, { headers }, resolve).once('error', reject)
  })
  if (stream.statusCode !== 200) throw new Error(`the event stream answered ${stream.statusCode}`)
  stream.on('data', (chunk: Buffer) => {
    if (chunk.includes('event: sample')) samples += 1
  })
  stream.on('error', () => {})
  const poll = async () => {
    const status = await fetch(`${base}/v1/status`, { headers })
    if (!status.ok) throw new Error(`the status answered ${status.status}`)
    await status.arrayBuffer()
  }
  await poll()
  const timer = setInterval(() => void poll(), STATUS_EVERY_MS)
  return {
    get samples() {
      return samples
    },
    close() {
      clearInterval(timer)
      stream.destroy()
    }
  }
}

/** CPU of the gateway in milliseconds per second, over this work. */
async function measure({ process: child }: RunningWxgate, work: () => Promise<unknown>): Promise<number> {
  const [cpu, start] = [child.cpuMicros(), performance.now()]
  await work()
  return (child.cpuMicros() - cpu) / (performance.now() - start)
}

interface Turns {
  readonly closed: number[]
  readonly open: number[]
}

async function takeTurns(gateway: RunningWxgate, rounds: number, work: () => Promise<unknown>): Promise<Turns> {
  const turns: Turns = { closed: [], open: [] }
  for (let round = 0; round < rounds; round++) {
    turns.closed.push(await measure(gateway, work))
    const console = await openConsole(gateway)
    await sleep(1_000)
    const before = console.samples
    turns.open.push(await measure(gateway, work))
    if (console.samples - before < 5) throw new Error('the event stream stood still')
    console.close()
    await sleep(500)
  }
  return turns
}

function report(name: string, { closed, open }: Turns): void {
  const more = median(open.map((value, round) => value - (closed[round] ?? Number.NaN)))
  const ratio = median(open.map((value, round) => value / (closed[round] ?? Number.NaN)))
  const cells = [median(closed).toFixed(2), median(open).toFixed(2), `${(more / 10).toFixed(2)} %`, ratio.toFixed(3)]
  process.stdout.write(`| ${name} | ${cells.join(' | ')} |\n`)
}

pinMyself(LOAD_CORE)
const rounds = Number(process.argv[2] ?? '5')
const upstream = await startUpstream()
const gateway = await startWxgate({
  ...{ core: GATEWAY_CORE, folder: temporaryFolder(), name: 'console', upstreamPort: upstream.port },
  ...{ accessLog: true, apiBase: 'sandbox', store: 'memory:', routes: ROUTES }
})
try {
  const [token] = await logIn(gateway.port, APP_ID, 1)
  const request = getRequest('/api/orders', token)
  const load = async (durationMs: number) => {
    const paced = { port: gateway.port, connections: CONNECTIONS, perSecond: LOAD_PER_SECOND, status: 200 }
    const { failed } = await runPaced({ ...paced, request: () => request, durationMs })
    if (failed > 0) throw new Error(`${failed} requests failed`)
  }
  await load(WARM_UP_MS)
  const never = await measure(gateway, () => sleep(IDLE_MS))
  process.stdout.write(
    '| load | closed: ms/s | open: ms/s | more, of a core | open / closed |\n|---|---|---|---|---|\n'
  )
  report(`${LOAD_PER_SECOND} requests/s`, await takeTurns(gateway, rounds, () => load(MEASURED_MS)))
  report('none', await takeTurns(gateway, Math.ceil(rounds / 2), () => sleep(IDLE_MS)))
  process.stdout.write(`\nBefore the first console, without load: ${never.toFixed(2)} ms/s. `)
  process.stdout.write(`Target: ${TARGET * 100} % of a core while open.\n`)
} finally {
  await gateway.process.stop()
  upstream.close()
}
process.exit()
