// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of gateway.yaml, not of JavaScript
/** Attack corpus, section 7: contents that no gateway.yaml may have. Y14 to Y17 are with the
 *  rules that they break. */
import { test } from 'tap'
import { configText, problems } from './support/config.ts'

const rejected: readonly { title: string; text: string; says: RegExp | string }[] = [
  {
    title: 'Y01 a duplicate key',
    text: 'a: 1\na: 2\n',
    says: /^gateway\.yaml:2:1 duplicate key "a" \(first given on line 1\)$/m
  },
  {
    title: 'Y02 no for false',
    text: configText({}, 'logging: { access: no }'),
    says: 'gateway.yaml:5:20 logging.access: must be true or false (use true or false)'
  },
  { title: 'Y02 on for true', text: configText({}, 'logging: { access: on }'), says: /use true or false/ },
  { title: 'Y02 NO for false', text: configText({}, 'logging: { access: NO }'), says: /use true or false/ },
  { title: 'Y02 a quoted boolean', text: configText({}, 'logging: { access: "true" }'), says: /remove the quotes/ },
  {
    title: 'Y03 a leading zero',
    text: configText({}, 'server: { port: 010 }'),
    says: 'gateway.yaml:5:17 server.port: must be a whole number (plain digits without a leading 0)'
  },
  {
    title: 'Y03 octal and hexadecimal numbers',
    text: configText({}, 'server: { port: 0o10 }\nservice: { port: 0x1F }'),
    says: /service\.port: must be a whole number/
  },
  {
    title: 'Y03 a sexagesimal duration',
    text: configText({}, 'tokens: { accessTtl: 1:30 }'),
    says: /tokens\.accessTtl: must be a duration such as/
  },
  {
    title: 'Y03 a duration without a unit',
    text: configText({}, 'tokens: { accessTtl: 30 }'),
    says: /write it with a unit, such as 30s/
  },
  {
    title: 'Y03 a size without a unit',
    text: configText({}, 'server: { limits: { body: 1024 } }'),
    says: /write it with a unit, such as 64kb/
  },
  {
    title: 'Y04 a __proto__ key',
    text: configText({}, '__proto__: { server: { port: 1 } }'),
    says: 'gateway.yaml:5:1 __proto__: unknown key'
  },
  {
    title: 'Y04 a constructor key',
    text: configText({}, 'server: { constructor: { prototype: 1 } }'),
    says: /server\.constructor: unknown key/
  },
  {
    title: 'Y04 a __proto__ upstream',
    text: configText({ upstreams: '{ __proto__: { targets: [] } }' }),
    says: /upstreams\.__proto__: not a valid name/
  },
  {
    title: 'Y04 a __proto__ header',
    text: configText({ routes: '[{ path: /a, upstream: orders, requestHeaders: { set: { __proto__: x } } }]' }),
    says: /set\.__proto__: this header is reserved/
  },
  {
    title: 'Y05 a merge key',
    text: configText({}, 'server:\n  <<: { port: 1 }'),
    says: /merge keys are not part of YAML 1\.2/
  },
  {
    title: 'Y06 a JavaScript tag',
    text: configText({}, 'store: !!js/function "x"'),
    says: /store: YAML tags are not supported/
  },
  {
    title: 'Y06 an unknown tag',
    text: configText({}, 'server: { host: !Foo x }'),
    says: /server\.host: YAML tags are not supported/
  },
  { title: 'Y06 a known tag', text: configText({}, 'store: !!binary aGVsbG8='), says: /YAML tags are not supported/ },
  { title: 'Y07 a billion laughs', text: laughs(), says: /grows too large through its aliases/ },
  { title: 'Y08 20,000 open brackets', text: '['.repeat(20_000), says: /nesting is too deep/ },
  {
    title: 'Y08 deep nesting that YAML can bear',
    text: `server: ${'['.repeat(100)}${']'.repeat(100)}`,
    says: /nesting is too deep/
  },
  { title: 'Y09 an alias inside its own anchor', text: '&a [*a]', says: /the alias \*a stands inside its own anchor/ },
  {
    title: 'Y09 an alias inside its own anchor, in a mapping',
    text: 'server: &s { tls: *s }',
    says: /stands inside its own anchor/
  },
  {
    title: 'Y09 an alias of nothing',
    text: 'server: *nope',
    says: 'gateway.yaml:1:9 server: the alias *nope has no anchor above it'
  },
  { title: 'Y10 two documents', text: `${configText()}---\na: 1\n`, says: /holds more than one YAML document/ },
  { title: 'Y10 an empty file', text: '', says: 'gateway.yaml:1:1 the file is empty' },
  { title: 'Y10 a file of comments', text: '# nothing\n', says: 'gateway.yaml:1:1 the file is empty' },
  {
    title: 'Y10 indentation by tabs',
    text: 'server:\n\tport: 1\n',
    says: 'gateway.yaml:2:1 tabs cannot indent in YAML (use spaces)'
  },
  { title: 'Y10 another YAML version', text: `%YAML 1.1\n---\n${configText()}`, says: /another version than 1\.2/ },
  {
    title: 'Y11 infinity',
    text: configText({}, 'server: { port: .inf }'),
    says: /server\.port: must be a whole number/
  },
  {
    title: 'Y11 not a number',
    text: configText({}, 'server: { port: .nan }'),
    says: /server\.port: must be a whole number/
  },
  {
    title: 'Y11 20 digits',
    text: configText({}, 'server: { port: 12345678901234567890 }'),
    says: /server\.port: must be a whole number/
  },
  {
    title: 'Y11 a fraction',
    text: configText({}, 'server: { port: 80.5 }'),
    says: /server\.port: must be a whole number/
  },
  {
    title: 'Y12 an unset variable',
    text: configText({ secrets: '["${NOPE}"]' }),
    says: 'gateway.yaml:1:12 secrets[0]: the environment variable NOPE is not set (set it, or give a default: ${NOPE:-…})'
  },
  {
    title: 'Y12 a broken placeholder',
    text: configText({ secrets: '["${1X}", "${A-b}", "${A"]' }),
    says: /secrets\[2\]: a \$\{ that does not start a placeholder/
  },
  {
    title: 'Y13 a missing secret file',
    text: configText({ secrets: '[{ file: nope }]' }),
    says: 'gateway.yaml:1:19 secrets[0].file: the file cannot be used: there is no such file'
  },
  {
    title: 'a list instead of a mapping',
    text: '- a\n- b\n',
    says: 'gateway.yaml:1:1 must be a mapping of keys to values'
  },
  {
    title: 'an empty section',
    text: configText({}, 'server:\n'),
    says: /server: must be a mapping of keys to values \(the value is empty: leave the key out/
  },
  { title: 'a key that is a list', text: configText({}, '? [a]\n: 1\n'), says: /a key that is not a plain word/ },
  {
    title: 'a placeholder in a key',
    text: configText({}, '"${A}": 1'),
    says: /placeholders are filled in values, not in keys/
  },
  {
    title: 'a key in another spelling',
    text: configText({}, 'tokens: { access_ttl: 2h }'),
    says: 'gateway.yaml:5:11 tokens.access_ttl: unknown key (did you mean "accessTtl"?)'
  },
  {
    title: 'a number for text',
    text: configText({ apps: '[{ appid: wx1234567890abcdef, secret: 12345 }]' }),
    says: /apps\[0\]\.secret: .*\(put the value in quotes\)/
  },
  {
    title: 'a number that is not a choice',
    text: configText({ upstreams: '{ orders: { targets: [{ url: http://h }], retries: { on: [503, 500] } } }' }),
    says: 'gateway.yaml:3:75 upstreams.orders.retries.on[1]: must be one of connect, reset, 502, 503, 504'
  },
  {
    title: 'an unfinished mapping',
    text: 'server: { port: 1',
    says: /^gateway\.yaml:1:\d+ a bracket is opened above and not closed/
  }
]

for (const { title, text, says } of rejected) {
  test(`refused: ${title}`, async (t) => {
    const found = problems(text).join('\n')
    if (typeof says === 'string') t.ok(found.split('\n').includes(says), found)
    else t.match(found, says)
  })
}

function laughs(): string {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let depth = 1; depth < 10; depth++)
    lines.push(
      `a${depth}: &a${depth} [${Array(10)
        .fill(`*a${depth - 1}`)
        .join(', ')}]`
    )
  return lines.join('\n')
}
