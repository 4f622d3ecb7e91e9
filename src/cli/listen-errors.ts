/** Explains a listener that could not be opened: names the key to change and the variable that
 *  fills it. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseDocument } from 'yaml'
import type { GatewayConfig } from '../config/config.ts'

type Listener = 'server' | 'service'

interface Place {
  readonly listener: Listener
  /** The configuration as the user named it; null without a file. */
  readonly file: string | null
  readonly cwd: string
}

/** @param file The configuration as the user named it; null without a file. */
export function describeStartError(error: unknown, config: GatewayConfig, file: string | null, cwd: string): string {
  if (!(error instanceof Error)) return 'unknown error'
  const { code, port, address } = error as NodeJS.ErrnoException & { port?: number; address?: string }
  if (port !== undefined && (code === 'EADDRINUSE' || code === 'EACCES')) {
    const listener = port === config.service.port ? 'service' : 'server'
    const advice = change('port', { listener, file, cwd })
    return code === 'EACCES'
      ? `this user may not listen on port ${port}. Choose one above 1023: ${advice}.`
      : `${address}:${port} is in use. Stop what listens there, or ${advice}.`
  }
  if (code === 'EADDRNOTAVAIL') {
    const listener = address === config.service.host ? 'service' : 'server'
    return `${address} is not an address of this machine: ${change('host', { listener, file, cwd })}.`
  }
  return error.message
}

function change(key: 'host' | 'port', { listener, file, cwd }: Place): string {
  if (file === null) return `choose another ${key}`
  const path = `${listener}.${key}`
  const variable = variableAt(resolve(cwd, file), [listener, key])
  return variable === null ? `change ${path} in ${file}` : `set ${variable} (${path} in ${file})`
}

/** `WXGATE_PORT` for the value `${WXGATE_PORT:-8080}`. */
function variableAt(file: string, path: readonly string[]): string | null {
  try {
    const written = parseDocument(readFileSync(file, 'utf8')).getIn(path)
    return (typeof written === 'string' ? /^\$\{(\w+)/.exec(written)?.[1] : null) ?? null
  } catch {
    return null
  }
}
