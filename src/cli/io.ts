/** What a command may touch of the process. */
export interface CliIo {
  /** Written as it is: a line brings its own newline. */
  readonly stdout: (text: string) => void
  readonly stderr: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
}
