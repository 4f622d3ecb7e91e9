/** nginx, Caddy and HAProxy as separate processes, with the files of deploy/proxies. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { ROOT } from './markdown.ts'
import { findProgram, startProgram } from './programs.ts'

/** Replacements for addresses, ports and paths of a sample. */
export type Replacements = Readonly<Record<string, string>>

/** A file of deploy/proxies; every replacement must be in it. */
export function sample(name: string, replacements: Replacements = {}): string {
  let text = readFileSync(join(ROOT, 'deploy/proxies', name), 'utf8')
  for (const [from, to] of Object.entries(replacements)) {
    if (!text.includes(from)) throw new Error(`${name} does not hold ${from}`)
    text = text.replaceAll(from, to)
  }
  return text
}

/** @param config A whole nginx.conf. @returns False where nginx is not installed. */
export async function startNginx(t: Test, config: string, port: number): Promise<boolean> {
  const file = findProgram(t, 'nginx')
  if (!file) return false
  const folder = createFolder(t)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${folder}/${name};`
  )
  const whole = config.replace(/^http \{$/m, `http {\n  access_log off; ${temporary.join(' ')}`)
  writeFileSync(join(folder, 'nginx.conf'), whole)
  const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', 'stderr', '-g', `daemon off; pid ${folder}/pid;`]
  const check = spawnSync(file, ['-t', ...args], { encoding: 'utf8' })
  t.equal(check.status, 0, `nginx -t: ${check.stderr}`)
  t.notMatch(check.stderr, /\[warn\]/)
  await startProgram(t, file, args, port, folder)
  return true
}

/** nginx with the standard file around a file of conf.d. */
export function startNginxWith(t: Test, confFile: string, port: number): Promise<boolean> {
  return startNginx(t, `events {}\nhttp {\n${confFile}\n}\n`, port)
}

/** @returns False where Caddy is not installed. */
export async function startCaddy(t: Test, config: string, port: number): Promise<boolean> {
  const file = findProgram(t, 'caddy')
  if (!file) return false
  const folder = createFolder(t)
  writeFileSync(join(folder, 'Caddyfile'), `{\n\tadmin off\n\tauto_https off\n}\n${config}`)
  await startProgram(t, file, ['run', '--config', join(folder, 'Caddyfile'), '--adapter', 'caddyfile'], port, folder)
  return true
}

/** @returns False where HAProxy is not installed. */
export async function startHaproxy(t: Test, config: string, port: number): Promise<boolean> {
  const file = findProgram(t, 'haproxy')
  if (!file) return false
  const folder = createFolder(t)
  writeFileSync(join(folder, 'haproxy.cfg'), config)
  const check = spawnSync(file, ['-c', '-f', join(folder, 'haproxy.cfg')], { encoding: 'utf8' })
  t.equal(check.status, 0, check.stderr)
  t.notMatch(check.stderr, /\[WARNING\]/)
  await startProgram(t, file, ['-db', '-f', join(folder, 'haproxy.cfg')], port, folder)
  return true
}

export function createFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'wxgate-proxy-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
