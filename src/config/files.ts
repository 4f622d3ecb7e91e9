/** Reads the files that a configuration names. */
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { platform } from 'node:os'
import { dirname } from 'node:path'

export interface FileContent {
  readonly content: Uint8Array
  /** Permission bits; 0 where the system has none. */
  readonly mode: number
}

/** Throws when the file cannot be read. */
export type ReadFile = (path: string) => FileContent

export class FileError extends Error {}

const LARGEST = 1024 * 1024

/** Reads regular files only: a pipe or a device could block the reader for ever. */
export const readFile: ReadFile = (path) => {
  const stat = statSync(path)
  if (!stat.isFile()) throw new FileError('not a regular file')
  if (stat.size > LARGEST) throw new FileError('larger than 1 MiB')
  return { content: readFileSync(path), mode: platform() === 'win32' ? 0 : stat.mode & 0o777 }
}

export type TextFile =
  | { readonly ok: true; readonly text: string; readonly mode: number }
  | { readonly ok: false; readonly reason: string }

export function readText(read: ReadFile, path: string): TextFile {
  try {
    const { content, mode } = read(path)
    const text = decodeText(content)
    return text === null ? { ok: false, reason: 'it is not UTF-8 text' } : { ok: true, text, mode }
  } catch (error) {
    return { ok: false, reason: reason(error) }
  }
}

function decodeText(content: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content)
  } catch {
    return null
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EISDIR: 'it is a directory',
  ELOOP: 'too many symbolic links',
  EROFS: 'the file system is read-only'
}

/** The reason why this process cannot create or write a file and its folders; null when it can.
 *  Creates nothing. */
export function writeFault(path: string): string | null {
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat !== undefined && !stat.isFile()) return 'it is not a regular file'
    if (stat !== undefined) accessSync(path, constants.R_OK | constants.W_OK)
    const folder = existingFolder(dirname(path))
    if (!statSync(folder).isDirectory()) return `${folder} is not a folder`
    accessSync(folder, constants.W_OK | constants.X_OK)
    return null
  } catch (error) {
    return `${reason(error)} (${existingFolder(dirname(path))})`
  }
}

/** The nearest folder above that exists. */
function existingFolder(folder: string): string {
  return existsSync(folder) || folder === dirname(folder) ? folder : existingFolder(dirname(folder))
}

function reason(error: unknown): string {
  if (error instanceof FileError) return error.message
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return reasons[code] ?? (code === '' ? 'it cannot be read' : `it cannot be read, ${code}`)
}
