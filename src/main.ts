/** The process: argv, signals, exit status. The only file that touches process, env and the standard streams. */
import { setFlagsFromString } from 'node:v8'
import type { ProcessIo } from './cli/io.ts'

// V8 takes what a request is made of for long-lived after a while and puts it where only a full collection finds it: memory
// grows by half a gigabyte of garbage before one comes. Without that guess requests cost a little less, too.
setFlagsFromString('--no-allocation-site-pretenuring')
// A heap may grow by half before it is collected. V8's own measure lets it grow fourfold on a machine with memory to spare,
// which is a hundred megabytes of tokens that are long forgotten.
setFlagsFromString('--heap-growing-percent=50')

type Command = (args: readonly string[], io: ProcessIo, stop: AbortSignal) => Promise<number>

/** Loaded when asked for: `wxgate version` need not read a web server. */
const commands: Readonly<Record<string, () => Promise<{ run: Command }>>> = {
  run: () => import('./cli/run.ts'),
  validate: () => import('./cli/validate.ts'),
  explain: () => import('./cli/explain.ts'),
  sandbox: () => import('./cli/sandbox.ts'),
  keygen: () => import('./cli/keygen.ts'),
  healthcheck: () => import('./cli/healthcheck.ts'),
  schema: () => import('./cli/schema.ts'),
  selftest: () => import('./cli/selftest.ts'),
  version: () => import('./cli/version.ts'),
  demo: () => import('./cli/demo.ts')
}

const USAGE = `Usage: wxgate COMMAND

  run          run the gateway ([-c gateway.yaml])
  validate     list everything that is wrong with a configuration ([-c FILE] [--strict] [--format text|json])
  explain      say what would happen to a request (METHOD PATH [-c FILE] [-H 'Name: value']…)
  sandbox      stand in for api.weixin.qq.com ([--port 9400])
  keygen       print a new secret
  healthcheck  ask a gateway whether it is ready ([--url URL])
  schema       print the JSON Schema of gateway.yaml
  selftest     attack a gateway and report what did not hold (--against URL --route PATH [--token TOKEN])
  version      print the version
`

const waiting: (() => void)[] = []
/** Signals that came while nobody waited for one, such as during the start. */
let unheard = 0
let isHangupUnheard = false
const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, onSignal)
// npm runs a script in a shell, and that shell dies of a signal without passing it on.
if (process.env.npm_lifecycle_event !== undefined) {
  const parent = process.ppid
  const watch = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(watch)
    onSignal()
  }, 500)
  watch.unref()
}

function onSignal(): void {
  stop.abort()
  if (waiting.length === 0) unheard++
  for (const resolve of waiting.splice(0)) resolve()
}

const io: ProcessIo = {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  env: process.env,
  cwd: process.cwd(),
  stdoutFd: 1,
  isTerminal: process.stdout.isTTY === true,
  onHangup(listener) {
    process.on('SIGHUP', listener)
    if (isHangupUnheard) listener()
    isHangupUnheard = false
  },
  signalled() {
    if (unheard === 0) return new Promise((resolve) => waiting.push(resolve))
    unheard--
    return Promise.resolve()
  }
}

const [name = '', ...args] = process.argv.slice(2)
// Unhandled it would end the process, and whoever changes the configuration need not know how far the start has come.
if (name === 'run') process.on('SIGHUP', noteHangup)
// A reader that goes away, such as `wxgate schema | head`, is no failure of ours.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
process.exitCode = await main(name, args)
if (name === 'run' || name === 'demo') process.exit()

function noteHangup(): void {
  isHangupUnheard = process.listenerCount('SIGHUP') === 1
}

async function main(command: string, rest: readonly string[]): Promise<number> {
  const load = Object.hasOwn(commands, command) ? commands[command] : undefined
  if (load) return (await load()).run(rest, io, stop.signal)
  const isHelp = command === 'help' || command === '--help' || command === '-h'
  if (command === '--version' || command === '-v') return main('version', rest)
  ;(isHelp ? io.stdout : io.stderr)(
    command === '' || isHelp ? USAGE : `wxgate: there is no command "${command}"\n\n${USAGE}`
  )
  return isHelp ? 0 : 2
}
