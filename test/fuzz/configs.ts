/** gateway.yaml: any content gets an answer with places inside the text, and an accepted file
 *  can be used. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { stringify } from 'yaml'
import { createRouteTable } from '../../src/routing/route-table.ts'
import { codePoint } from '../support/code-point.ts'
import { load } from '../support/config.ts'
import { apply, edits, type Fuzzer } from './fuzzer.ts'

const example = readFileSync(new URL('../../config/gateway.example.yaml', import.meta.url), 'utf8')
const small = readFileSync(new URL('../../gateway.yaml', import.meta.url), 'utf8')

const KEYS = [
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
  'upstreams',
  'healthCheck',
  'on'
]
const MORE_KEYS = [
  'store',
  'tls',
  'file',
  'auth',
  'methods',
  'inject',
  'require',
  'allow',
  'retries',
  '__proto__',
  'constructor',
  'toString',
  '<<',
  ''
]
// biome-ignore lint/suspicious/noTemplateCurlyInString: placeholders of gateway.yaml
const PLACEHOLDERS = ['${', '${A}', '${A:-b}', '$${', '}']
const SCRAPS = [
  ...KEYS,
  ...MORE_KEYS,
  ...PLACEHOLDERS,
  ...[
    '{',
    '[',
    ']',
    ',',
    ': ',
    ':',
    '- ',
    '\n',
    '\n  ',
    '\n    - ',
    '&a ',
    '*a',
    '!!str ',
    '!x ',
    '#',
    '"',
    "'",
    '|\n',
    '>',
    '?'
  ],
  ...[
    '%YAML 1.2\n',
    '---\n',
    '...\n',
    '\t',
    '\0',
    '\ud800',
    '\ue000',
    '\ufeff',
    '010',
    '1e999',
    '.nan',
    'no',
    '~',
    'null',
    '0x1f'
  ],
  ...[
    '1s',
    '10mb',
    '-1',
    '/a/../b',
    '/%2e',
    'http://169.254.169.254',
    'http://u:p@h',
    'file:///etc/passwd',
    '\u202e',
    '中'
  ]
]
const VALUES = [
  ...PLACEHOLDERS,
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
  'memory:',
  'x'.repeat(3_000)
]

/** Any structure that a file may hold. */
export const { structure } = fc.letrec<{ structure: unknown }>((tie) => ({
  structure: fc.oneof(
    { depthSize: 'medium', withCrossShrink: true },
    fc.oneof(fc.constantFrom(...VALUES), fc.integer(), fc.double(), fc.boolean(), fc.constant(null), fc.string()),
    fc.array(tie('structure'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...KEYS, ...MORE_KEYS), fc.string()), tie('structure'), {
      maxKeys: 5,
      noNullPrototype: false
    })
  )
}))

export const text = fc
  .array(
    fc.oneof(
      { weight: 4, arbitrary: fc.constantFrom(...SCRAPS) },
      { weight: 1, arbitrary: fc.string({ unit: codePoint }) }
    ),
    { maxLength: 40 }
  )
  .map((parts) => parts.join(''))

export function asYaml(value: unknown): string {
  return stringify(value, { aliasDuplicateObjects: false })
}

const inputs = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(example, small), edits(SCRAPS, 8)).map(([text, list]) => apply(text, list))
  },
  { weight: 1, arbitrary: text },
  { weight: 1, arbitrary: structure.map(asYaml) }
)

const ENV = {
  A: 'a: b',
  WXGATE_SECRET: 'a-secret-of-more-than-32-characters!',
  SHOP_APPSECRET: 'canary-appsecret',
  ORDERS_SERVICE_TOKEN: 'canary-service-token'
}

export function createConfigFuzzer(): Fuzzer<string> {
  return {
    name: 'configs',
    inputs,
    check(text) {
      const result = load(text, { env: ENV })
      const lines = text.split(/\r\n|\r|\n/).length
      const problems = [...(result.ok ? [] : result.problems), ...result.warnings]
      if (!result.ok && result.problems.length === 0) return 'refused without a problem'
      for (const { line, column, message } of problems) {
        if (message.startsWith('the file cannot be understood')) return message
        if (line < 1 || line > lines + 1 || column < 1) return `a problem at ${line}:${column} of ${lines} lines`
        if (message === '') return 'a problem without a message'
      }
      if (JSON.stringify(problems).includes(ENV.SHOP_APPSECRET)) return 'a problem quotes a secret'
      if (result.ok) createRouteTable(result.config.routes)
      return null
    }
  }
}
