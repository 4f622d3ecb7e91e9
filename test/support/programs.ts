/** Programs of the machine that tests start. */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Test } from 'tap'
import { isRefused } from './raw-client.ts'
import { until } from './until.ts'

const FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/opt/homebrew/bin']

/** Null, with a comment, when this machine does not have it; in CI that is a failure. */
export function findProgram(t: Test, name: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...FOLDERS]
  const file = folders.map((folder) => join(folder, name)).find(existsSync)
  if (file) return file
  if (process.env.CI) t.fail(`${name} is not installed`)
  else t.comment(`NOT TESTED: ${name} is not installed`)
  return null
}

export interface Ended {
  /** Null after a signal, or when it did not start. */
  readonly status: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. Other tests go on meanwhile.
 *  @param input Its standard input. */
export function runProgram(
  file: string,
  args: readonly string[],
  { input = '', ...options }: { cwd?: string | URL; env?: NodeJS.ProcessEnv; input?: string } = {}
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, options)
    let [stdout, stderr] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    // A program that does not read it may have ended.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, stdout, stderr }))
  })
}

/** Resolves when the port accepts connections. The program ends with the test.
 *  @param folder Its home and working directory. */
export async function startProgram(
  t: Test,
  file: string,
  args: readonly string[],
  port: number,
  folder: string
): Promise<void> {
  let output = ''
  const child: ChildProcess = spawn(file, args, {
    cwd: folder,
    env: { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder }
  })
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (output += chunk))
  t.teardown(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve))
    if (child.exitCode !== null || !child.kill('SIGTERM')) return
    await gone
  })
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`${file} ended: ${output}`)
    return !(await isRefused(t, port))
  })
}
