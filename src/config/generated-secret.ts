/** The secret behind the word `generated`: random, made once, kept beside the sqlite store. */
import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, readFileSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { GatewayConfig } from './config.ts'
import { GENERATED } from './sections/secrets.ts'

/** Remembers the secret of a store in memory, which has no file, from one reload to the next. */
export interface GeneratedSecretMemory {
  secret: string | null
}

/** A configuration without the word. Creates the file, mode 0600, at the first start; of any number of processes that
 *  start at the same time all get the same secret. Throws when the file cannot be read, written, or holds no secret.
 *  Loading a configuration never calls it, so validating one creates nothing. */
export function resolveGeneratedSecret(
  config: GatewayConfig,
  memory: GeneratedSecretMemory = { secret: null }
): GatewayConfig {
  if (!config.secrets.includes(GENERATED)) return config
  const file = generatedSecretFile(config.store)
  memory.secret = file === null ? (memory.secret ?? newSecret()) : readOrCreate(file)
  const { secret } = memory
  return { ...config, secrets: config.secrets.map((written) => (written === GENERATED ? secret : written)) }
}

/** Where the secret is kept; null for a store without a file. */
export function generatedSecretFile(store: string): string | null {
  return store.startsWith('sqlite:') ? join(dirname(store.slice('sqlite:'.length)), 'wxgate.secret') : null
}

/** 32 random bytes in base64. */
export function newSecret(): string {
  return randomBytes(32).toString('base64')
}

function readOrCreate(file: string): string {
  const existing = read(file)
  if (existing !== null) return existing
  mkdirSync(dirname(file), { recursive: true })
  // Written whole under another name first: a process that finds the file finds all of it.
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  writeFileSync(draft, `${newSecret()}\n`, { mode: 0o600, flag: 'wx' })
  try {
    linkSync(draft, file)
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error
  } finally {
    unlinkSync(draft)
  }
  const created = read(file)
  if (created === null) throw new Error(`The secret in ${file} disappeared while it was being made`)
  return created
}

function read(file: string): string | null {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
    if ((statSync(file).mode & 0o077) !== 0) chmodSync(file, 0o600)
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null
    throw error
  }
  if (text.length < 32)
    throw new Error(`${file} holds no secret: put one of at least 32 characters there, or delete it`)
  return text
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
