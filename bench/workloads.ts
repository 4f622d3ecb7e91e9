/** Compares the CPU per request over several kinds of requests: `node bench/workloads.ts`. The
 *  subjects take turns in every round, as in `npm run bench`. Flags: --rounds N, --seconds N,
 *  --no-write. BENCH_NODE=PATH adds a second Node. Writes workloads.md. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { getRequest, postRequest } from './load.ts'
import { type Asked, load, measure } from './measure.ts'
import { pinMyself, temporaryFolder } from './processes.ts'
import { table } from './report.ts'
import { median, type Sample } from './statistics.ts'
import {
  caddy,
  haproxy,
  nginx,
  REFERENCE,
  type Running,
  type Subject,
  stock,
  underSecondNode,
  wxgate
} from './subjects.ts'
import { LARGE_BODY, LARGE_PATH, startUpstream, UPSTREAM_BODY } from './upstream.ts'
import { collectVersions } from './versions.ts'
import { OWN_BUILD, type TlsFiles } from './wxgate.ts'

const GATEWAY_CORE = 0
const LOAD_CORE = 1
const CONNECTIONS = 64
const TOKENS = 1_000
/** Long enough for a JIT on one core, as in run.ts. */
const WARM_UP_MS = 3_000
const PATH = '/api/orders'
const POSTED = JSON.stringify({ note: 'x'.repeat(4_083) })

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '0.8' },
    'no-write': { type: 'boolean', default: false }
  }
})
const rounds = Number(flags.rounds)
const durationMs = Number(flags.seconds) * 1000

interface Workload {
  readonly name: string
  readonly isTls: boolean
  readonly expectedBody: string
  request(token: string | undefined): Buffer
}

const WORKLOADS: readonly Workload[] = [
  { name: 'GET', isTls: false, expectedBody: UPSTREAM_BODY, request: (token) => getRequest(PATH, token) },
  {
    name: 'GET, answer of 4 KB',
    isTls: false,
    expectedBody: LARGE_BODY,
    request: (token) => getRequest(LARGE_PATH, token)
  },
  {
    name: 'POST of 4 KB',
    isTls: false,
    expectedBody: UPSTREAM_BODY,
    request: (token) => postRequest(PATH, token, POSTED)
  },
  { name: 'GET over TLS', isTls: true, expectedBody: UPSTREAM_BODY, request: (token) => getRequest(PATH, token) },
  {
    name: 'POST of 4 KB over TLS',
    isTls: true,
    expectedBody: UPSTREAM_BODY,
    request: (token) => postRequest(PATH, token, POSTED)
  }
]

const SUBJECTS: readonly Subject[] = [
  wxgate('wxgate', true),
  wxgate('wxgate-nolog', false),
  wxgate('wxgate-1000-routes', true, OWN_BUILD, 1_000),
  ...underSecondNode(process.env),
  stock('stock', false),
  haproxy,
  nginx(),
  caddy
]

interface Turn {
  readonly subject: string
  readonly workload: string
  readonly asked: Asked
  readonly samples: Sample[]
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function makeCertificate(folder: string): TlsFiles {
  const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', tls.keyFile]
  const name = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  execFileSync('openssl', ['req', '-x509', '-days', '2', ...key, '-out', tls.certFile, ...name], { stdio: 'ignore' })
  return tls
}

const ratioTo = (turn: Turn, other: Turn | undefined): string => {
  if (other === undefined) return '–'
  const ratios = turn.samples.map(
    (sample, n) => sample.cpuMicrosPerRequest / (other.samples[n]?.cpuMicrosPerRequest ?? Number.NaN)
  )
  return median(ratios).toFixed(2)
}

function tableOf(turns: readonly Turn[]): string {
  const find = (subject: string, workload: string) =>
    turns.find((turn) => turn.subject === subject && turn.workload === workload)
  const rows = SUBJECTS.map(({ name }) => [
    name,
    ...WORKLOADS.map((workload) => {
      const turn = find(name, workload.name)
      if (turn === undefined) return '–'
      const cpu = median(turn.samples.map((sample) => sample.cpuMicrosPerRequest)).toFixed(1)
      return `${cpu} (${ratioTo(turn, find(REFERENCE, workload.name))})`
    })
  ])
  return table(['subject', ...WORKLOADS.map(({ name }) => name)], rows)
}

async function main(): Promise<void> {
  pinMyself(LOAD_CORE)
  const folder = temporaryFolder()
  const upstream = await startUpstream()
  const tls = makeCertificate(folder)
  const running: Running[] = []
  const turns: Turn[] = []
  const surroundings = { core: GATEWAY_CORE, upstreamPort: upstream.port, folder, tokenCount: TOKENS }
  try {
    for (const isTls of [false, true]) {
      for (const subject of SUBJECTS) {
        say(`starting ${subject.name}${isTls ? ' with TLS' : ''}`)
        const started = await subject.start({ ...surroundings, ...(isTls ? { tls } : {}) })
        running.push(started)
        const tokens = started.tokens.length === 0 ? [undefined] : started.tokens
        for (const { name, expectedBody, request } of WORKLOADS.filter((workload) => workload.isTls === isTls)) {
          const requests = tokens.map(request)
          const asked = { name: subject.name, running: started, requests, expectedBody, connections: CONNECTIONS }
          turns.push({ subject: subject.name, workload: name, asked, samples: [] })
        }
      }
    }
    for (const { asked } of turns) await load(asked, WARM_UP_MS)
    for (let round = 1; round <= rounds; round++) {
      say(`round ${round} of ${rounds}`)
      for (const turn of round % 2 === 1 ? turns : turns.toReversed())
        turn.samples.push(await measure(turn.asked, durationMs))
    }
  } finally {
    for (const { process: child } of running) await child.stop()
    upstream.close()
  }
  const result = tableOf(turns)
  say(`\n${result}`)
  if (flags['no-write']) return
  const versions = collectVersions()
    .map(([what, version]) => `- ${what}: ${version}`)
    .join('\n')
  writeFileSync(
    join(import.meta.dirname, 'workloads.md'),
    `# Kinds of requests

Written by \`node bench/workloads.ts\`: CPU µs per request, and in brackets the ratio to HAProxy in the same round (median of ${rounds} rounds of
${durationMs / 1000} s for each, in turns). ${CONNECTIONS} connections, ${TOKENS} tokens; the subject has one core to itself. [results.md](results.md)
describes the subjects.

${result}

${versions}
`
  )
}

await main()
process.exit(0)
