/** The image, as far as the Dockerfile can be checked without an engine. package.test.ts starts
 *  the content of the final stage. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { copiesOf, readStages, valuesOf } from './support/dockerfile.ts'
import { ROOT } from './support/markdown.ts'

const stages = readStages()
const final = stages.at(-1) ?? { from: '', instructions: [] }

test('the image is built in stages, on a tag of the newest Node, which includes the libraries that it needs', (t) => {
  t.equal(stages.length, 2)
  for (const { from } of stages) t.match(from, /^node:26-[a-z-]*slim( AS [a-z]+)?$/)
  t.end()
})

test('the image does not run as root, and has a numeric user that Kubernetes can check', (t) => {
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
  t.match(readFileSync(join(ROOT, 'gateway.yaml'), 'utf8'), /\$\{WXGATE_STORE:-/, 'gateway.yaml uses it')
  t.end()
})

test('the container has wxgate healthcheck, and a stop signal that drains', (t) => {
  t.match(valuesOf(final, 'HEALTHCHECK')[0], /CMD \["wxgate", "healthcheck"\]$/)
  t.strictSame(valuesOf(final, 'STOPSIGNAL'), ['SIGTERM'])
  t.strictSame(valuesOf(final, 'ENTRYPOINT'), ['["wxgate"]'], 'without a shell in between')
  t.strictSame(valuesOf(final, 'CMD'), ['["run"]'])
  t.end()
})

test('every copied file exists and passes .dockerignore', (t) => {
  const admitted = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
  t.ok(admitted.includes('*'), 'no file is copied by default')
  for (const { sources } of stages.flatMap(copiesOf).filter(({ from }) => from === undefined)) {
    for (const source of sources) {
      const path = source.replace(/^\.\//, '')
      t.ok(existsSync(join(ROOT, path)), `${path} exists`)
      t.ok(admitted.includes(`!${path}`), `${path} is admitted`)
    }
  }
  t.end()
})
