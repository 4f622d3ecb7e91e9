/** The image, as far as it can be checked without an engine: what the Dockerfile promises, and that what it copies
 *  into the final stage starts. */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'tap'
import { freePort } from './support/process.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..')

interface Instruction {
  readonly name: string
  readonly value: string
}

interface Stage {
  readonly from: string
  readonly instructions: readonly Instruction[]
}

/** Joins continued lines, drops comments, and splits at FROM. */
function readStages(): Stage[] {
  const text = readFileSync(join(root, 'Dockerfile'), 'utf8')
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ')
  const stages: { from: string; instructions: Instruction[] }[] = []
  for (const line of text.split('\n')) {
    const [, name, value] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) continue
    if (name === 'FROM') stages.push({ from: value, instructions: [] })
    else stages.at(-1)?.instructions.push({ name, value })
  }
  return stages
}

const stages = readStages()
const final = stages.at(-1) ?? { from: '', instructions: [] }

function valuesOf(stage: Stage, name: string): string[] {
  return stage.instructions.filter((instruction) => instruction.name === name).map(({ value }) => value)
}

function copiesOf(stage: Stage): { sources: string[]; target: string; from: string | undefined }[] {
  return valuesOf(stage, 'COPY').map((value) => {
    const words = value.split(/\s+/)
    const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length)
    const paths = words.filter((word) => !word.startsWith('--'))
    return { sources: paths.slice(0, -1), target: paths.at(-1) ?? '', from }
  })
}

test('the image is built in stages, on a tag of the newest Node, which has the libraries that it needs', (t) => {
  t.equal(stages.length, 2)
  for (const { from } of stages) t.match(from, /^node:26-[a-z-]*slim( AS [a-z]+)?$/)
  t.end()
})

test('the image does not run as root, and by a number that Kubernetes can check', (t) => {
  const last = final.instructions.findLastIndex(({ name }) => name === 'USER')
  t.match(final.instructions[last]?.value, /^[1-9]\d*(:[1-9]\d*)?$/)
  const after = final.instructions.slice(last).map(({ name }) => name)
  t.notOk(after.includes('RUN') || after.includes('COPY'), 'nothing is built after it')
  t.end()
})

test('the image holds neither development packages nor optional ones', (t) => {
  const installs = valuesOf(final, 'RUN').filter((value) => /\bnpm (ci|install|i)\b/.test(value))
  t.equal(installs.length, 1)
  t.match(installs[0], /npm ci .*--omit=dev --omit=optional/)
  t.match(valuesOf(final, 'ENV').join(' '), /NODE_ENV=production/)
  const copied = copiesOf(final).flatMap(({ sources }) => sources)
  for (const path of ['.', './', 'src', 'test', 'bench', 'examples', 'node_modules', '/app/node_modules']) {
    t.notOk(copied.includes(path), path)
  }
  t.end()
})

test('the image can run on a read-only root: state goes to one volume', (t) => {
  t.strictSame(valuesOf(final, 'VOLUME'), ['/data'])
  t.match(valuesOf(final, 'ENV').join(' '), /WXGATE_STORE=sqlite:\/data\//)
  t.match(readFileSync(join(root, 'gateway.yaml'), 'utf8'), /\$\{WXGATE_STORE:-/, 'gateway.yaml heeds it')
  t.end()
})

test('the container is watched by wxgate healthcheck, and stopped by a signal that drains', (t) => {
  t.match(valuesOf(final, 'HEALTHCHECK')[0], /CMD \["wxgate", "healthcheck"\]$/)
  t.strictSame(valuesOf(final, 'STOPSIGNAL'), ['SIGTERM'])
  t.strictSame(valuesOf(final, 'ENTRYPOINT'), ['["wxgate"]'], 'without a shell in between')
  t.strictSame(valuesOf(final, 'CMD'), ['["run"]'])
  t.end()
})

test('everything that is copied exists and is let through by .dockerignore', (t) => {
  const admitted = readFileSync(join(root, '.dockerignore'), 'utf8').split('\n')
  t.ok(admitted.includes('*'), 'nothing goes in by default')
  for (const { sources } of stages.flatMap(copiesOf).filter(({ from }) => from === undefined)) {
    for (const source of sources) {
      const path = source.replace(/^\.\//, '')
      t.ok(existsSync(join(root, path)), `${path} exists`)
      t.ok(admitted.includes(`!${path}`), `${path} is admitted`)
    }
  }
  t.end()
})

test('what the final stage holds starts, without sources and without development packages', async (t) => {
  const image = mkdtempSync(join(tmpdir(), 'wxgate-image-'))
  t.teardown(() => rmSync(image, { recursive: true, force: true }))
  const app = join(image, 'app')
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  await run(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', join(app, 'dist')], { cwd: root })
  for (const { sources, target, from } of copiesOf(final)) {
    for (const source of from === undefined ? sources : []) {
      const into = target.endsWith('/') ? join(target, source) : target
      const path = into.startsWith('/') ? join(image, into) : join(app, into)
      mkdirSync(dirname(path), { recursive: true })
      cpSync(join(root, source), path, { recursive: true })
    }
  }
  const { dependencies, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
    version: string
  }
  // Only what package.json names as a dependency: an import of a development package does not resolve here.
  for (const name of Object.keys(dependencies)) {
    const path = join(app, 'node_modules', name)
    mkdirSync(dirname(path), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), path)
  }
  const { stdout } = await run(process.execPath, [join(app, 'bin/wxgate.js'), 'version'], { cwd: image })
  t.match(stdout, version)

  // The health check gets nothing but what the image says: status 1 is a gateway that does not answer, 2 a file that was
  // not found.
  const [, config = ''] = /\bWXGATE_CONFIG=(\S+)/.exec(valuesOf(final, 'ENV').join(' ')) ?? []
  const env = { NODE_ENV: 'production', WXGATE_CONFIG: join(image, config), WXGATE_PORT: String(await freePort()) }
  const check = run(process.execPath, [join(app, 'bin/wxgate.js'), 'healthcheck'], { cwd: app, env })
  await t.rejects(check, { code: 1, stderr: /does not answer/ })
})
