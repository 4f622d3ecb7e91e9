// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of gateway.yaml, not of JavaScript
/** The loader answers for any content of the file. */
import fc from 'fast-check'
import { test } from 'tap'
import { stringify } from 'yaml'
import { nearestName, type Problem } from '../src/config/problem.ts'
import { configText, load } from './support/config.ts'

const words = [
  'server',
  'port',
  'apps',
  'appid',
  'secret',
  'secrets',
  'routes',
  'path',
  'upstream',
  'upstreams',
  'targets',
  'url',
  'store',
  'tls',
  'file',
  'auth',
  'methods',
  'inject',
  'require',
  'retries',
  'on',
  '__proto__',
  'constructor',
  'toString',
  '<<',
  'healthCheck',
  ''
]
const scraps = [
  '${',
  '${A}',
  '${A:-b}',
  '$${',
  '}',
  '{',
  '[',
  ']',
  ',',
  ': ',
  ':',
  '- ',
  '\n',
  '\n  ',
  '&a ',
  '*a',
  '!!str ',
  '!x ',
  '#',
  '"',
  "'",
  '|\n',
  '>',
  '?',
  '%YAML 1.2\n',
  '---\n',
  '...\n',
  '\t',
  '\u0000',
  '\ud800',
  '\ue000',
  '\ufeff',
  '<<',
  '010',
  '1e999',
  '.nan',
  'no',
  ...words
]
const values = [
  'wx1234567890abcdef',
  '/a',
  '/a/../b',
  'orders',
  'public',
  '1s',
  '10mb',
  'http://h',
  'http://169.254.169.254',
  'sandbox',
  'generated',
  'memory',
  '${A}',
  '${',
  'x'.repeat(3000)
]

const text = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...scraps) },
      { weight: 1, arbitrary: fc.string({ unit: 'binary' }) }
    ),
    { maxLength: 40 }
  )
  .map((parts) => parts.join(''))

const { structure } = fc.letrec<{ structure: unknown }>((tie) => ({
  structure: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.oneof(fc.constantFrom(...values), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.string()),
    fc.array(tie('structure'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...words), fc.string()), tie('structure'), {
      maxKeys: 5,
      noNullPrototype: false
    })
  )
}))

function isSound(problem: Problem, lines: number): boolean {
  return problem.line >= 1 && problem.line <= lines + 1 && problem.column >= 1 && problem.message.length > 0
}

function answers(source: string): boolean {
  const result = load(source, { env: { A: 'a: b' } })
  if (result.ok) return true
  const lines = source.split(/\r\n|\r|\n/).length
  const isUnderstood = result.problems.every((problem) => !problem.message.startsWith('the file cannot be understood'))
  return (
    result.problems.length > 0 &&
    isUnderstood &&
    [...result.problems, ...result.warnings].every((problem) => isSound(problem, lines))
  )
}

test('arbitrary text gets an answer with places inside the text', async (t) => {
  fc.assert(fc.property(text, answers), { numRuns: 300 })
  t.pass()
})

test('arbitrary structures get an answer', async (t) => {
  fc.assert(
    fc.property(structure, (value) => answers(stringify(value, { aliasDuplicateObjects: false }))),
    { numRuns: 100 }
  )
  t.pass()
})

test('a valid file with one section replaced by arbitrary data gets an answer', async (t) => {
  const section = fc.constantFrom('secrets', 'apps', 'upstreams', 'routes')
  const property = fc.property(section, structure, (name, value) =>
    answers(configText({ [name]: JSON.stringify(value) ?? 'null' }))
  )
  fc.assert(property, { numRuns: 100 })
  t.pass()
})

test('any content of a variable stays one value', async (t) => {
  const base = configText({ apps: '[{ appid: wx1234567890abcdef, secret: s3cret, name: ${S} }]' })
  const property = fc.property(fc.string({ unit: 'binary', minLength: 1 }), (value) => {
    const result = load(base, { env: { S: value } })
    return result.ok && result.config.apps[0]?.name === value && result.config.routes.length === 1
  })
  fc.assert(property, { numRuns: 200 })
  t.pass()
})

test('the nearest name is one of the candidates or none', async (t) => {
  fc.assert(
    fc.property(fc.string(), fc.array(fc.string()), (word, names) => {
      const found = nearestName(word, names)
      return found === undefined || names.includes(found)
    })
  )
  t.pass()
})
