/** The secret behind the word `generated`: random, made once, kept beside the sqlite store. */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fchmodSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { GatewayConfig } from './config.ts'
import { GENERATED } from './sections/secrets.ts'

/** Keeps the secret of a store in memory, which has no file, from one reload to the next. */
export interface GeneratedSecretMemory {
  secret: string | null
}

/** Replaces the word with the secret. Creates the file, mode 0600, at the first start;
 *  processes that start at the same time get the same secret. Throws when the file cannot be read
 *  or written, holds no secret, or belongs to another user. Loading a configuration never calls
 *  this, so `validate` creates nothing.
 *
 *  @param user The user of this process; undefined where the system has no user ids. */
export function resolveGeneratedSecret(
  config: GatewayConfig,
  memory: GeneratedSecretMemory = { secret: null },
  user: number | undefined = process.geteuid?.()
): GatewayConfig {
  if (!config.secrets.includes(GENERATED)) return config
  const file = generatedSecretFile(config.store)
  memory.secret = file === null ? (memory.secret ?? newSecret()) : readOrCreate(file, user)
  const { secret } = memory
  return { ...config, secrets: config.secrets.map((written) => (written === GENERATED ? secret : written)) }
}

/** The file of the secret; null for a store without a file. */
export function generatedSecretFile(store: string): string | null {
  return store.startsWith('sqlite:') ? join(dirname(store.slice('sqlite:'.length)), 'wxgate.secret') : null
}

/** 32 random bytes in base64. */
export function newSecret(): string {
  return randomBytes(32).toString('base64')
}

function readOrCreate(file: string, user: number | undefined): string {
  const existing = read(file, user)
  if (existing !== null) return existing
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  // Written completely under another name first: a process that finds the file finds all of it.
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  writeFileSync(draft, `${newSecret()}\n`, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(draft, file)
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  } finally {
    unlinkSync(draft)
  }
  const created = read(file, user)
  if (created === null) throw new Error(`The secret in ${file} was removed during the start`)
  return created
}

function read(file: string, user: number | undefined): string | null {
  let handle: number
  try {
    handle = openSync(file, 'r')
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null
    throw error
  }
  try {
    const { uid, mode } = fstatSync(handle)
    // Another user could know or change the secret. root can do both in any case.
    if (user !== undefined && uid !== user && uid !== 0)
      throw new Error(`${file} belongs to another user (uid ${uid}): delete it, or change its owner to uid ${user}`)
    if ((mode & 0o077) !== 0) fchmodSync(handle, 0o600)
    const text = readFileSync(handle, 'utf8').trim()
    if (text.length >= 32) return text
    throw new Error(`${file} holds no secret: write one of at least 32 characters there, or delete it`)
  } finally {
    closeSync(handle)
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
