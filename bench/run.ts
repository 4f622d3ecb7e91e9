/** `npm run bench`: measures the cost of a proxied request in wxgate and in its alternatives.
 *  Every subject is pinned to core 0 and idle except in its turn; the load and the upstream are
 *  this process, pinned to core 1. The subjects take turns in every round, so that other load on
 *  the machine affects all of them.
 *  Flags: --rounds N, --seconds N (per measurement), --tokens N (default 10,000), --connections N,
 *  --only NAME,NAME, --no-login, --no-write (keeps results.md), --out FILE.
 *  Variables: BENCH_NODE=PATH adds wxgate and the stock composition under a second Node (npm
 *  brings 24, the image runs 26). BENCH_BASELINE=FOLDER adds `wxgate-before`, another checkout with
 *  its node_modules. */
import { writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { getRequest } from './load.ts'
import { type LoginFigures, measureLogin } from './login.ts'
import { type Asked, load, measure } from './measure.ts'
import { pinMyself, temporaryFolder, versionOf } from './processes.ts'
import { figuresTable, markdown, type Report, targetsHold, targetsTable } from './report.ts'
import { type Cell, median, type Sample } from './statistics.ts'
import { type Running, type Subject, subjects } from './subjects.ts'
import { ECHO_PATH, startUpstream, UPSTREAM_BODY } from './upstream.ts'
import { collectVersions } from './versions.ts'

const GATEWAY_CORE = 0
const LOAD_CORE = 1
const PATH = '/api/orders'
/** Long enough for a JIT on one core: a cold subject would make the others look better. */
const WARM_UP_MS = 3000
/** Share of a core; the kernel's own threads stay below it. */
const DISTURBED = 0.1

const { values: flags } = parseArgs({
  options: {
    rounds: { type: 'string', default: '15' },
    seconds: { type: 'string', default: '0.8' },
    tokens: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '64' },
    only: { type: 'string' },
    'no-login': { type: 'boolean', default: false },
    'no-write': { type: 'boolean', default: false },
    out: { type: 'string', default: join(import.meta.dirname, 'results.md') }
  }
})
const rounds = Number(flags.rounds)
const durationMs = Number(flags.seconds) * 1000
const manyTokens = Number(flags.tokens)
const connections = Number(flags.connections)
const only = flags.only?.split(',')

interface Turn {
  readonly subject: Subject
  readonly running: Running
  readonly tokens: number
  readonly requests: readonly Buffer[]
  readonly samples: Sample[]
}

const notes: string[] = []

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

function note(line: string): void {
  notes.push(line)
  say(`note: ${line}`)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Starts one subject and checks that it does the measured work. Undefined when it cannot take
 *  part. */
async function prepare(subject: Subject, folder: string, upstreamPort: number): Promise<Turn[]> {
  let running: Running | undefined
  try {
    running = await subject.start({ core: GATEWAY_CORE, upstreamPort, folder, tokenCount: manyTokens })
    if (subject.auth !== null) await checkIdentity(running)
  } catch (error) {
    note(`${subject.name} was left out: ${messageOf(error)}`)
    await running?.process.stop()
    return []
  }
  const started = running
  const turn = (tokens: readonly (string | undefined)[]): Turn => ({
    subject,
    running: started,
    tokens: tokens.length,
    requests: tokens.map((token) => getRequest(PATH, token)),
    samples: []
  })
  if (running.tokens.length === 0) return [turn([undefined])]
  return running.tokens.length === 1 ? [turn(running.tokens)] : [turn(running.tokens.slice(0, 1)), turn(running.tokens)]
}

async function checkIdentity({ port, tokens }: Running): Promise<void> {
  const url = `http://127.0.0.1:${port}${ECHO_PATH}`
  const bare = await fetch(url)
  if (bare.status !== 401) throw new Error(`it answers ${bare.status} to a request without a token`)
  const response = await fetch(url, { headers: { authorization: `Bearer ${tokens[0]}` } })
  const body = await response.text()
  if (response.status !== 200) throw new Error(`it answers ${response.status} to a token: ${body.slice(0, 300)}`)
  const { openid, authorization } = JSON.parse(body) as { openid: string | null; authorization: boolean }
  if (openid === null || authorization) throw new Error(`it sends upstream ${body}`)
}

function askedOf({ running, requests, subject }: Turn): Asked {
  return { name: subject.name, running, requests, connections, expectedBody: UPSTREAM_BODY }
}

/** Removes subjects that fail under the load, so that the others are measured. */
async function warmUp(turns: Turn[]): Promise<void> {
  for (const turn of [...turns]) {
    if (!turns.includes(turn)) continue
    try {
      await load(askedOf(turn), WARM_UP_MS)
    } catch (error) {
      note(`${turn.subject.name} was left out: ${messageOf(error)}`)
      for (const other of turns.filter(({ running }) => running === turn.running)) turns.splice(turns.indexOf(other), 1)
      await turn.running.process.stop()
    }
  }
}

function label({ subject, tokens }: Turn): string {
  return `${subject.name.padEnd(13)} ${String(tokens).padStart(6)} token${tokens === 1 ? ' ' : 's'}`
}

async function main(): Promise<number> {
  if (process.platform !== 'linux' || versionOf('taskset', '-V') === undefined || availableParallelism() < 2) {
    say('The benchmark needs Linux, taskset (util-linux) and two cores.')
    return 1
  }
  pinMyself(LOAD_CORE)
  const folder = temporaryFolder()
  const turns: Turn[] = []
  let login: LoginFigures | undefined
  const upstream = await startUpstream()
  try {
    for (const subject of subjects.filter(({ name }) => only === undefined || only.includes(name))) {
      say(`starting ${subject.name}`)
      turns.push(...(await prepare(subject, folder, upstream.port)))
    }
    await warmUp(turns)
    for (let round = 1; round <= rounds; round += 1) {
      say(`round ${round} of ${rounds}`)
      // In alternating order, so that no subject is always first.
      for (const turn of round % 2 === 1 ? turns : turns.toReversed()) {
        const sample = await measure(askedOf(turn), durationMs)
        turn.samples.push(sample)
        say(
          `  ${label(turn)}  ${sample.cpuMicrosPerRequest.toFixed(1).padStart(6)} µs  ${sample.requestsPerSecond.toFixed(0).padStart(6)}/s`
        )
      }
    }
    for (const running of new Set(turns.map((turn) => turn.running))) await running.process.stop()
    if (!flags['no-login']) {
      say('logins and starts')
      login = await measureLogin(GATEWAY_CORE, LOAD_CORE).catch((error: unknown) => {
        note(`logins and starts were left out: ${messageOf(error)}`)
        return undefined
      })
    }
  } finally {
    for (const running of new Set(turns.map((turn) => turn.running))) await running.process.stop()
    upstream.close()
  }

  const disturbance = median(turns.flatMap(({ samples }) => samples.map((sample) => sample.disturbance)))
  if (disturbance > DISTURBED) {
    note(`other processes used ${Math.round(disturbance * 100)} % of a core: run it again on a quiet machine`)
  }
  const cells: Cell[] = turns.map(({ subject, tokens, samples }) => ({ subject: subject.name, tokens, samples }))
  const settings =
    `${rounds} rounds of ${durationMs / 1000} s for each, in turns. ${connections} connections, one request at a time on each: ` +
    `GET ${PATH}, answered with ${UPSTREAM_BODY.length} bytes of JSON. The subject has core ${GATEWAY_CORE} to itself; the load and the ` +
    `upstream share core ${LOAD_CORE}.`
  const report: Report = { cells, manyTokens, login, notes, versions: collectVersions(), settings }
  say(`\n${figuresTable(cells)}\n\n${targetsTable(report)}`)
  if (login !== undefined) say(`\n${login.description}`)
  if (!flags['no-write']) {
    writeFileSync(flags.out, markdown(report))
    say(`\nwritten to ${flags.out}`)
  }
  // Other subjects may be missing; wxgate may not.
  const missesWxgate =
    (only === undefined || only.includes('wxgate')) && !cells.some(({ subject }) => subject === 'wxgate')
  return targetsHold(report) && !missesWxgate ? 0 : 1
}

process.exit(await main())
