/** The commands of `wxgate`, each in its own file, which is loaded when the command is called. */
import { didYouMean } from '../config/problem.ts'
import type { CliIo, ProcessIo } from './io.ts'
import { WRONG_USAGE } from './usage.ts'

type Run = (args: readonly string[], io: ProcessIo, stop: AbortSignal) => Promise<number>

interface Command {
  readonly summary: string
  /** Ends the process when it returns, even with an open connection or timer. */
  readonly isServer?: true
  readonly load: () => Promise<{ run: Run }>
}

const commands: Readonly<Record<string, Command>> = {
  init: {
    summary: 'write a commented gateway.yaml and .env.example to start from',
    load: () => import('./init.ts')
  },
  dev: {
    summary: 'put the gateway in front of a backend, without a file and without WeChat (--to URL)',
    isServer: true,
    load: () => import('./dev.ts')
  },
  run: {
    summary: 'run the gateway ([-c gateway.yaml])',
    isServer: true,
    load: () => import('./run.ts')
  },
  validate: {
    summary: 'list everything that is wrong with a configuration ([-c FILE] [--strict] [--format text|json])',
    load: () => import('./validate.ts')
  },
  doctor: {
    summary: 'check a configuration against WeChat, store, targets, certificates and ports ([-c FILE])',
    load: () => import('./doctor.ts')
  },
  explain: {
    summary: "tell what would happen to a request (METHOD PATH [-c FILE] [-H 'Name: value']…)",
    load: () => import('./explain.ts')
  },
  echo: {
    summary: 'run a backend that answers with the received request ([--port 3000])',
    load: () => import('./echo.ts')
  },
  sandbox: {
    summary: 'stand in for api.weixin.qq.com ([--port 9400])',
    load: () => import('./sandbox.ts')
  },
  keygen: { summary: 'print a new secret', load: () => import('./keygen.ts') },
  healthcheck: {
    summary: 'ask a gateway whether it is ready ([--url URL])',
    load: () => import('./healthcheck.ts')
  },
  schema: { summary: 'print the JSON Schema of gateway.yaml', load: () => import('./schema.ts') },
  selftest: {
    summary: 'attack a gateway and report the attacks that got through (--against URL --route PATH [--token TOKEN])',
    load: () => import('./selftest.ts')
  },
  demo: {
    summary: 'run the gateway with the sandbox and a sample service (npm start)',
    isServer: true,
    load: () => import('./demo.ts')
  },
  version: { summary: 'print the version', load: () => import('./version.ts') }
}

const ALIASES: Readonly<Record<string, string>> = { '--version': 'version', '-v': 'version' }
const HELP: ReadonlySet<string> = new Set(['help', '--help', '-h'])

export const commandNames: readonly string[] = Object.keys(commands)

export interface Outcome {
  readonly status: number
  readonly mustExit: boolean
}

export async function runCommand(argv: readonly string[], io: ProcessIo, stop: AbortSignal): Promise<Outcome> {
  const [word = '', ...args] = argv
  const name = ALIASES[word] ?? word
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) return { status: help(word, io), mustExit: false }
  const { run } = await command.load()
  return { status: await run(args, io, stop), mustExit: command.isServer ?? false }
}

function help(word: string, io: CliIo): number {
  if (HELP.has(word)) {
    io.stdout(usage())
    return 0
  }
  const hint = didYouMean(word, commandNames)
  const unknown = `wxgate: unknown command ${JSON.stringify(word)}${hint === undefined ? '' : `, ${hint}`}\n\n`
  io.stderr(`${word === '' ? '' : unknown}${usage()}`)
  return WRONG_USAGE
}

function usage(): string {
  const width = Math.max(...commandNames.map((name) => name.length))
  const lines = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}\n`)
  return `Usage: wxgate COMMAND\n\n${lines.join('')}\nwxgate COMMAND --help tells more about one of them.\n`
}
