/** What a command may touch of the process. */
export interface CliIo {
  /** Written as it is: a line brings its own newline. */
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}

/** What a command that stays may touch besides. */
export interface ProcessIo extends CliIo {
  /** File descriptor of stdout, for the log. */
  readonly stdoutFd: number
  /** Whether a person is likely to be reading stdout. */
  readonly isTerminal: boolean
  /** Calls `listener` at every SIGHUP. */
  onHangup(listener: () => void): void
  /** Resolves at the next SIGTERM or SIGINT. */
  signalled(): Promise<void>
}
