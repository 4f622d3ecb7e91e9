/** The process: argv, signals, exit status. No other file touches process, env or the standard
 *  streams. */
import { runCommand } from './cli/commands.ts'
import type { ProcessIo } from './cli/io.ts'
import { createSignals } from './cli/signals.ts'

const argv = process.argv.slice(2)
const signals = createSignals(process)
// Only `run` and `demo` reload a configuration; SIGHUP ends the others by default.
if (argv[0] === 'run' || argv[0] === 'demo') signals.keepHangup()
// A closed reader, as in `wxgate schema | head`, is no failure.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})

const io: ProcessIo = {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => void process.stderr.write(text),
  env: process.env,
  cwd: process.cwd(),
  log: { fd: 1, stream: process.stdout, isTerminal: process.stdout.isTTY === true },
  onHangup: signals.onHangup,
  onFault: (listener) => void process.on('uncaughtException', listener),
  signalled: signals.signalled
}

const { status, mustExit } = await runCommand(argv, io, signals.stop)
process.exitCode = status
if (mustExit) process.exit()
