/** `{ file: PATH }` in place of a secret. */
import { resolve } from 'node:path'
import { type ReadFile, readText } from './files.ts'
import type { Path } from './problem.ts'
import type { Report } from './report.ts'

export interface FileSource {
  /** Base of relative paths: the folder of the configuration file. */
  readonly directory: string
  readonly readFile: ReadFile
}

/** The content without one newline at its end; null after a report. */
export function readSecretFile(file: string, source: FileSource, path: Path, report: Report): string | null {
  const result = file.includes('\0')
    ? { ok: false as const, reason: 'there is no such file' }
    : readText(source.readFile, resolve(source.directory, file))
  const place = [...path, 'file']
  if (!result.ok) {
    report.error(place, `the file cannot be used: ${result.reason}`)
    return null
  }
  const secret = result.text.replace(/\r?\n$/, '')
  if (secret.trim() === '') {
    report.error(place, 'the file is empty')
    return null
  }
  if ((result.mode & 0o004) !== 0) report.warn(place, 'every user of this machine can read the file', 'chmod 600')
  return secret
}
