/** Cost of a reload, and the parts that it keeps: `node bench/reload.ts [rounds]` prints a Markdown
 *  table in a few seconds. A gateway of 20 routes runs in this process, behind the code that
 *  follows gateway.yaml. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { followConfig } from '../src/cli/reload.ts'
import { systemClock } from '../src/clock.ts'
import { type LoadResult, loadConfig } from '../src/config/load.ts'
import { formatProblem } from '../src/config/problem.ts'
import { buildGateway, type Gateway } from '../src/gateway/gateway.ts'
import { openStore } from '../src/store/open.ts'
import { freePort, temporaryFolder } from './processes.ts'
import { median } from './statistics.ts'
import { startUpstream } from './upstream.ts'

const ROUNDS = Number(process.argv[2] ?? 20)
const LIMIT_MS = 5

/** JSON is YAML; spaces at the end change the file and nothing else. */
function configText(ports: { edge: number; service: number; upstream: number }, limit: number, spaces = 0): string {
  const routes = Array.from({ length: 20 }, (_, index) => ({
    path: `/api/${index}`,
    upstream: 'app',
    auth: 'required'
  }))
  return `${JSON.stringify({
    server: { host: '127.0.0.1', port: ports.edge },
    service: { host: '127.0.0.1', port: ports.service },
    secrets: ['Zr0q9VJm3uXw7LcT2bKp5sNdYh8eFgA4'],
    apps: [{ appid: 'wx0123456789abcdef', secret: 'sandbox' }],
    store: 'memory',
    logging: { access: false },
    upstreams: { app: { targets: [{ url: `http://127.0.0.1:${ports.upstream}` }] } },
    routes: [...routes, { path: '/more', upstream: 'app', auth: 'public', bodyLimit: `${limit}kb` }]
  })}${' '.repeat(spaces)}\n`
}

interface Following {
  readonly gateway: Gateway
  /** Resolves when the file is in force, with the milliseconds of wall time and of CPU. */
  reload(): Promise<{ wall: number; cpu: number }>
  close(): Promise<void>
}

async function follow(file: string): Promise<Following> {
  const load = (): LoadResult =>
    loadConfig({ file, env: {}, production: false, allow: new Set(['sandbox', 'memory-store']) })
  const loaded = load()
  if (!loaded.ok) throw new Error(loaded.problems.map(formatProblem).join('\n'))
  let taken: (() => void) | null = null
  const ignore = () => {}
  const log = {
    debug: ignore,
    warn: ignore,
    info: () => taken?.(),
    error: (...words: unknown[]) => void process.stderr.write(`${JSON.stringify(words)}\n`)
  }
  const store = await openStore(loaded.config.store, { clock: systemClock, log, baseDir: '.' })
  const gateway = await buildGateway(loaded.config, {
    store,
    clock: systemClock,
    log,
    accessLog: { finished: ignore },
    version: 'bench',
    wechatUrl: 'http://127.0.0.1:9'
  })
  await gateway.listen()
  const follower = followConfig({ files: [], load, complete: (config) => config, gateway, log })
  return {
    gateway,
    async reload() {
      const done = new Promise<void>((resolve) => {
        taken = resolve
      })
      const [wallBefore, cpuBefore] = [performance.now(), process.cpuUsage()]
      follower.reload()
      await done
      const { user, system } = process.cpuUsage(cpuBefore)
      const spent = { wall: performance.now() - wallBefore, cpu: (user + system) / 1000 }
      // The follower takes the next one after its pause.
      await new Promise((resolve) => setTimeout(resolve, 300))
      return spent
    },
    async close() {
      await gateway.close()
      await store.close()
    }
  }
}

async function measure(title: string, following: Following, change: (round: number) => void): Promise<number> {
  const spent: { wall: number; cpu: number }[] = []
  const { accessTokens, upstreams } = following.gateway.parts
  for (let round = 1; round <= ROUNDS; round++) {
    change(round)
    spent.push(await following.reload())
  }
  const { parts } = following.gateway
  const medianMs = median(spent.map(({ wall }) => wall))
  const cells = [
    title,
    medianMs.toFixed(2),
    Math.max(...spent.map(({ wall }) => wall)).toFixed(2),
    median(spent.map(({ cpu }) => cpu)).toFixed(2),
    parts.accessTokens === accessTokens ? 'kept' : 'LOST',
    parts.upstreams === upstreams ? 'kept' : 'LOST'
  ]
  process.stdout.write(`| ${cells.join(' | ')} |\n`)
  return medianMs
}

const folder = temporaryFolder()
const upstream = await startUpstream()
const file = join(folder, 'gateway.yaml')
const ports = { edge: await freePort(), service: await freePort(), upstream: upstream.port }
writeFileSync(file, configText(ports, 64))
const following = await follow(file)
process.stdout.write('| reload | ms | longest | CPU ms | tokens | pools |\n|---|--:|--:|--:|---|---|\n')
const unchanged = await measure('unchanged file', following, () => {})
await measure('other spelling, same meaning', following, (round) => writeFileSync(file, configText(ports, 64, round)))
await measure('one route changed', following, (round) => writeFileSync(file, configText(ports, 64 + round)))
await following.close()
upstream.close()
process.exit(unchanged <= LIMIT_MS ? 0 : 1)
