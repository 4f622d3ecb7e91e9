/** Faults of a secret: characters left by a shell, an .env file or an editor, and values that
 *  can be guessed. */
import type { Path } from './problem.ts'
import type { Report } from './report.ts'

export interface SecretFault {
  readonly message: string
  readonly hint?: string
}

const QUOTES = '"\'`“”‘’'
const INVISIBLE = /[\p{Cc}\u2028\u2029\u200b\ufeff]/u
const names: Readonly<Record<string, string>> = {
  '\r': 'a carriage return (\\r)',
  '\n': 'a line feed (\\n)',
  '\t': 'a tab (\\t)',
  ' ': 'a blank',
  '\u00a0': 'a no-break space (U+00A0)',
  '\u3000': 'a full-width space (U+3000)',
  '\u200b': 'a zero-width space (U+200B)',
  '\ufeff': 'a byte order mark (U+FEFF)'
}

/** Null for text without such characters. */
export function secretTextFault(text: string): SecretFault | null {
  if (isVariableName(text)) {
    return { message: 'is the name of a variable, not its value', hint: `write \${NAME}, with braces` }
  }
  if (/^(?:<[^<>]*>|\{\{.*\}\})$/.test(text)) return { message: 'is a placeholder, not a value' }
  const [first, last] = [text.charAt(0), text.charAt(text.length - 1)]
  if (isStray(last)) return { message: `ends in ${nameOf(last)}`, hint: hintFor(last) }
  if (isStray(first)) return { message: `begins with ${nameOf(first)}`, hint: hintFor(first) }
  const inside = INVISIBLE.exec(text)?.[0]
  return inside === undefined ? null : { message: `holds ${nameOf(inside)}`, hint: hintFor(inside) }
}

/** `$NAME`, `$(NAME)`, `%NAME%`, `$env:NAME`, `env:NAME`, `process.env.NAME`: syntax that
 *  gateway.yaml does not have. */
export function isVariableName(text: string): boolean {
  return /^(?:\$[A-Za-z_]\w*|\$\(\w+\)|%\w+%|\$?env:\w+|process\.env\.\w+)$/.test(text)
}

function isStray(char: string): boolean {
  return char !== '' && (/\s/.test(char) || INVISIBLE.test(char) || QUOTES.includes(char))
}

function nameOf(char: string): string {
  if (QUOTES.includes(char)) return `a quote (${char})`
  return names[char] ?? `a control character (U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')})`
}

function hintFor(char: string): string {
  if (QUOTES.includes(char)) return 'remove the quotes: docker --env-file and Kubernetes keep them as part of the value'
  if (char === '\r') return 'remove it: files with Windows line endings bring it, such as an .env file'
  if (char === '\n') return 'remove it: printf writes no line feed at the end, echo does'
  return 'remove it'
}

const FEWEST_CHARACTERS = 8
const COMMON_WORDS =
  /password|passwd|passw0rd|secret|change-?me|example|default|sample|dummy|admin|token|wxgate|gateway|wechat|weixin|qwerty|letmein|replace|please|insert|your|here|this|with|test|demo|todo|key|foo|bar|abc|xyz/g

export const KEYGEN = 'wxgate keygen prints a random one'

/** Reports a secret that is short or can be guessed. */
export function checkStrength(secret: string, shortest: number, path: Path, report: Report): void {
  if (secret.length < shortest) {
    report.error(path, `must have at least ${shortest} characters`, KEYGEN)
    return
  }
  const reason = guessableReason(secret)
  if (reason !== null) report.warn(path, `can be guessed: ${reason}`, KEYGEN)
}

/** The reason why a secret can be guessed; null for one that looks random. */
function guessableReason(text: string): string | null {
  if (hasFewCharacters(text)) return `it has fewer than ${FEWEST_CHARACTERS} different characters`
  if (isRepetition(text)) return 'it repeats a shorter text'
  if (isSequence(text)) return 'its characters follow one another'
  return hasCommonWords(text) ? 'it consists of common words' : null
}

export function hasFewCharacters(text: string): boolean {
  return new Set(text).size < FEWEST_CHARACTERS
}

function hasCommonWords(text: string): boolean {
  const rest = text
    .toLowerCase()
    .replace(COMMON_WORDS, '')
    .replace(/[^a-z0-9]/g, '')
  const letters = new Set(rest.replace(/[0-9]/g, ''))
  const digits = new Set(rest.replace(/[a-z]/g, '').replace(/0?123(?:4(?:5(?:6(?:7(?:8(?:9)?)?)?)?)?)?/g, ''))
  return letters.size + digits.size < FEWEST_CHARACTERS
}

/** True when the text consists of at least two copies of a shorter one. */
function isRepetition(whole: string): boolean {
  const text = whole.slice(0, 1024)
  for (let period = 1; period * 2 <= text.length; period++) {
    if (text.startsWith(text.slice(period))) return true
  }
  return false
}

/** True when most characters are neighbours of the ones before them: 0123456789, abcdef,
 *  9876543210. */
function isSequence(text: string): boolean {
  let steps = 0
  for (let index = 1; index < text.length; index++) {
    if (Math.abs(text.charCodeAt(index) - text.charCodeAt(index - 1)) === 1) steps++
  }
  return steps > (text.length - 1) * 0.75
}
