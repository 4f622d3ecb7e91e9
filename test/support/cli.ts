/** `wxgate` within this process. */
import { runCommand } from '../../src/cli/commands.ts'
import type { CliIo } from '../../src/cli/io.ts'

export interface CliResult {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** For commands that end by themselves: no signal arrives. */
export async function wxgate(
  argv: readonly string[],
  { env = {}, cwd = '/nonexistent' }: Partial<Pick<CliIo, 'env' | 'cwd'>> = {}
): Promise<CliResult> {
  let [stdout, stderr] = ['', '']
  const io = {
    stdout: (text: string) => {
      stdout += text
    },
    stderr: (text: string) => {
      stderr += text
    },
    env,
    cwd,
    log: { fd: 1, stream: process.stdout, isTerminal: false },
    onHangup() {},
    onFault() {},
    signalled: () => new Promise<never>(() => {})
  }
  const { status } = await runCommand(argv, io, new AbortController().signal)
  return { status, stdout, stderr }
}
