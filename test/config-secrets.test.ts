/** Secrets: stray characters, names instead of values, and values that can be guessed. */
import { test } from 'tap'
import { configText, files, load, problems, SECRET, warnings } from './support/config.ts'

const TOKEN = 'hT5wQz8Lr2Nk6Yv0'
const texts: Record<string, string> = {
  'apps[0].secret': configText({ apps: `[{ appid: wx1234567890abcdef, secret: "\${S}" }]` }),
  'secrets[0]': configText({ secrets: `["\${S}"]` }),
  'service.tokens[0].token': configText({}, `service: { tokens: [{ name: a, token: "\${S}", scopes: [pay] }] }`),
  'apps[0].virtualPay.appKey': configText({
    apps: `[{ appid: wx1234567890abcdef, secret: a, virtualPay: { appKey: "\${S}" } }]`
  })
}

const strays: Record<string, [value: string, says: string]> = {
  'a carriage return': [`${SECRET}\r`, 'ends in a carriage return (\\r)'],
  'a Windows line ending': [`${SECRET}\r\n`, 'ends in a line feed (\\n)'],
  'a line feed': [`${SECRET}\n`, 'ends in a line feed (\\n)'],
  'a blank': [`${SECRET} `, 'ends in a blank'],
  'a blank in front': [` ${SECRET}`, 'begins with a blank'],
  'a tab': [`${SECRET}\t`, 'ends in a tab (\\t)'],
  'double quotes': [`"${SECRET}"`, 'ends in a quote (")'],
  'single quotes': [`'${SECRET}'`, "ends in a quote (')"],
  'a quote in front': [`"${SECRET}`, 'begins with a quote (")'],
  'typographic quotes': [`“${SECRET}”`, 'ends in a quote (”)'],
  'a byte order mark': [`\ufeff${SECRET}`, 'begins with a byte order mark (U+FEFF)'],
  'a no-break space': [`${SECRET}\u00a0`, 'ends in a no-break space (U+00A0)'],
  'a zero-width space': [`${SECRET.slice(0, 9)}\u200b${SECRET.slice(9)}`, 'holds a zero-width space (U+200B)'],
  'a line break inside': [`${SECRET.slice(0, 9)}\n${SECRET.slice(9)}`, 'holds a line feed (\\n)'],
  'a NUL byte': [`${SECRET}\0`, 'ends in a control character (U+0000)'],
  'a variable without braces': ['$WXGATE_SECRET', 'is the name of a variable, not its value'],
  'a variable of Windows': ['%WXGATE_SECRET%', 'is the name of a variable, not its value'],
  'a variable of Kubernetes': ['$(WXGATE_SECRET)', 'is the name of a variable, not its value'],
  'a variable of Spring': ['env:WXGATE_SECRET', 'is the name of a variable, not its value'],
  'a placeholder in angle brackets': ['<put-your-secret-here-please-and-thank-you>', 'is a placeholder, not a value']
}

for (const [title, [value, says]] of Object.entries(strays)) {
  test(`a secret is refused, naming the wrong character: ${title}`, async (t) => {
    for (const [place, text] of Object.entries(texts)) {
      const found = problems(text, { env: { S: value } })
      t.equal(found.length, 1, found.join('\n'))
      t.ok(found[0]?.includes(`${place}: ${says}`), found.join())
      t.notOk(found[0]?.includes(SECRET.slice(0, 8)), 'the value itself is not repeated')
    }
  })
}

test('a secret in a file must satisfy the same rule, and keys in PEM keep their lines', async (t) => {
  const readFile = files({ '/etc/wxgate/s': { text: `${SECRET} \n` } })
  t.match(problems(configText({ secrets: '[{ file: s }]' }), { readFile }), [/secrets\[0\]: ends in a blank/])
})

test('a secret may hold blanks, quotes and dollar signs inside', async (t) => {
  for (const value of [`correct horse "battery" staple $5 \${x}`, `${SECRET}$`, `$${SECRET}`]) {
    t.same(problems(texts['secrets[0]'] ?? '', { env: { S: value } }), [], value)
  }
})

test('the store must satisfy the same rule', async (t) => {
  const text = configText({}, `store: "\${S}"`)
  t.match(problems(text, { env: { S: 'sqlite:./data/wxgate.db\r' } }), [/store: ends in a carriage return/])
  t.match(problems(text, { env: { S: '$WXGATE_STORE' } }), [/store: is the name of a variable/])
})

const guessable: Record<string, [secret: string, says: RegExp]> = {
  'a repeated word': ['my-password-my-password-my-password-', /it repeats a shorter text/],
  'a repeated word that is cut off': ['s3cr3t-k3y-s3cr3t-k3y-s3cr3t-k3y-s3c', /it repeats a shorter text/],
  'a sequence of neighbours': ['0123456789abcdefghijklmnopqrstuv', /its characters follow one another/],
  'common words': ['please-change-me-this-is-your-secret-key', /it consists of common words/],
  'words and digits in order': ['admin-password-123456789-qwerty-test', /it consists of common words/]
}

for (const [title, [secret, says]] of Object.entries(guessable)) {
  test(`a value that can be guessed is a warning: ${title}`, async (t) => {
    t.match(warnings(configText({ secrets: `[${secret}]` })), [says])
    const service = `service: { tokens: [{ name: a, token: ${secret}, scopes: [pay] }] }`
    t.match(warnings(configText({}, service)), [says])
  })
}

test('a service token of few characters is a warning, and one from keygen is not', async (t) => {
  const service = (token: string) =>
    configText({}, `service: { tokens: [{ name: a, token: ${token}, scopes: [pay] }] }`)
  t.match(warnings(service('aaaaaaaaaaaaaaaa')), [/tokens\[0\]\.token: can be guessed: it has fewer than 8 different/])
  for (let round = 0; round < 200; round++) {
    const random = Buffer.from(crypto.getRandomValues(new Uint8Array(32)))
    for (const token of [random.toString('base64'), random.toString('hex'), random.toString('hex').slice(0, 32)])
      t.same(warnings(service(JSON.stringify(token))), [], token)
  }
})

test('one value for two credentials is a warning', async (t) => {
  const text = configText(
    { apps: `[{ appid: wx1234, secret: ${SECRET} }, { appid: wx5678, secret: ${TOKEN} }]` },
    `service: { tokens: [{ name: a, token: ${SECRET}, scopes: [pay] }, { name: b, token: ${TOKEN}, scopes: [pay] }] }`
  )
  t.match(warnings(text), [
    /apps\[0\]\.secret: is the same as secrets\[0\]/,
    /tokens\[0\]\.token: is the same as secrets\[0\]/,
    /tokens\[1\]\.token: is the same as apps\[1\]\.secret/
  ])
  t.match(load(text), { ok: true })
})

test('apps of the sandbox share their secret without a warning', async (t) => {
  const apps = '[{ appid: wx1234, secret: sandbox }, { appid: wx5678, secret: sandbox }]'
  t.same(warnings(configText({ apps })), [])
})
