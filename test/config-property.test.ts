// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of gateway.yaml, not of JavaScript
/** The loader answers for any content of the file. */
import fc from 'fast-check'
import { test } from 'tap'
import { nearestName } from '../src/config/problem.ts'
import { asYaml, createConfigFuzzer, structure, text } from './fuzz/configs.ts'
import { codePoint } from './support/code-point.ts'
import { configText, load } from './support/config.ts'

const { check } = createConfigFuzzer()

/** An answer for each input, with places inside the text. */
const holds = (inputs: fc.Arbitrary<string>) =>
  fc.property(inputs, (text) => {
    const fault = check(text)
    if (fault !== null) throw new Error(String(fault))
  })

test('arbitrary text gets an answer with places inside the text', async (t) => {
  fc.assert(holds(text), { numRuns: 300 })
  t.pass()
})

test('arbitrary structures get an answer', async (t) => {
  fc.assert(holds(structure.map(asYaml)), { numRuns: 100 })
  t.pass()
})

test('a valid file with one section replaced by arbitrary data gets an answer', async (t) => {
  const section = fc.constantFrom('secrets', 'apps', 'upstreams', 'routes')
  const replaced = fc
    .tuple(section, structure)
    .map(([name, value]) => configText({ [name]: JSON.stringify(value) ?? 'null' }))
  fc.assert(holds(replaced), { numRuns: 100 })
  t.pass()
})

test('any content of a variable stays one value', async (t) => {
  const base = configText({ apps: '[{ appid: wx1234567890abcdef, secret: s3cret, name: ${S} }]' })
  const property = fc.property(fc.string({ unit: codePoint, minLength: 1 }), (value) => {
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
