/** Names and versions of the programs in a benchmark. Of the machine it lists only hardware and
 *  kernel. */
import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { versionOf } from './processes.ts'

const root = join(import.meta.dirname, '..')

interface Manifest {
  readonly version: string
  readonly dependencies?: Readonly<Record<string, string>>
}

function manifestOf(path: string): Manifest {
  return JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as Manifest
}

export function collectVersions(): [string, string][] {
  const commit = versionOf('git', '-C', root, 'rev-parse', '--short', 'HEAD')
  const isCommit = commit !== undefined && /^[0-9a-f]{7,}$/.test(commit)
  const packages = ['fastify', '@fastify/http-proxy', '@fastify/reply-from', '@fastify/jwt', 'undici']
  const servers = [
    ['haproxy', '-v'],
    ['nginx', '-v'],
    ['caddy', 'version']
  ] as const
  return [
    ['wxgate', `${manifestOf('.').version}${isCommit ? ` (${commit})` : ''}`],
    ['node', process.version],
    ...packages.map((name): [string, string] => [name, manifestOf(join('node_modules', name)).version]),
    ...servers.map(([name, flag]): [string, string] => [name, numberIn(versionOf(name, flag)) ?? 'not installed']),
    ['processor', `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cpus().length} cores`],
    ['kernel', `${process.platform} ${release()}`]
  ]
}

function numberIn(sentence: string | undefined): string | undefined {
  return sentence === undefined ? undefined : (/\d+\.\d+[\w.~+-]*/.exec(sentence)?.[0] ?? sentence)
}
