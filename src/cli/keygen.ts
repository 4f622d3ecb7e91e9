/** `wxgate keygen`: prints a new secret. */
import { newSecret } from '../config/generated-secret.ts'
import type { CliIo } from './io.ts'
import { refuseArguments } from './no-arguments.ts'

const USAGE = `Usage: wxgate keygen

Prints 32 random bytes in base64, good as an entry of secrets and as a service token.
`

export async function run(args: readonly string[], io: CliIo): Promise<number> {
  const status = refuseArguments('keygen', USAGE, args, io)
  if (status !== null) return status
  io.stdout(`${newSecret()}\n`)
  return 0
}
