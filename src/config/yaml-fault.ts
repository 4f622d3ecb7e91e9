/** Explains faults of YAML text: the parser names tokens, this module names the mistake in the
 *  line. */

export interface YamlFault {
  readonly message: string
  readonly hint?: string
}

/** Characters of input methods and word processors, and the ASCII character that YAML needs. */
const lookAlikes: Readonly<Record<string, string>> = {
  '：': ':',
  '，': ',',
  '“': '"',
  '”': '"',
  '‘': "'",
  '’': "'",
  '［': '[',
  '］': ']',
  '【': '[',
  '】': ']',
  '｛': '{',
  '｝': '}',
  '－': '-',
  '＃': '#',
  '\u3000': 'a space',
  '\u00a0': 'a space',
  '\u200b': 'nothing',
  '\ufeff': 'nothing'
}

/** Names the first look-alike of YAML punctuation in a text; undefined when there is none. */
export function lookAlikeHint(text: string): string | undefined {
  for (const char of text) {
    const plain = lookAlikes[char]
    if (plain === undefined) continue
    const code = char.charCodeAt(0)
    const kind = code > 0xff00 && code < 0xfff0 && char !== '\ufeff' ? 'is full-width' : 'is not ASCII'
    const name = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
    return plain.length === 1 ? `"${char}" ${kind} (${name}): write ${plain}` : `${name} ${kind}: write ${plain}`
  }
  return undefined
}

/** Text intended as `key: value`: a look-alike for the colon, no space after it, or "=". */
export function mappingHint(text: string): string | undefined {
  if (/^[\w.-]+\s*：/.test(text)) return lookAlikeHint(text)
  if (/^-[A-Za-z]/.test(text)) return 'put a space after the "-"'
  if (/^[A-Za-z][\w-]*:[^\s/]/.test(text)) return 'put a space after the ":"'
  return /^[A-Za-z][\w-]*\s*=/.test(text) ? 'write "key: value" instead of "key = value"' : undefined
}

/** @param code A code of the yaml package.
 *  @param lines The file; `line` counts from 1. */
export function describeYamlFault(code: string, message: string, lines: readonly string[], line: number): YamlFault {
  const text = lines[line - 1] ?? ''
  switch (code) {
    case 'MULTIPLE_DOCS':
      return { message: 'the file holds more than one YAML document', hint: 'remove everything from this line on' }
    case 'TAB_AS_INDENT':
      return { message: 'tabs cannot indent in YAML', hint: 'use spaces' }
    case 'RESOURCE_EXHAUSTION':
      return { message: 'the nesting is too deep' }
    case 'BLOCK_AS_IMPLICIT_KEY':
    case 'MULTILINE_IMPLICIT_KEY':
      return implicitKey(lines, line)
    case 'BAD_INDENT':
      return /end with a/.test(message) ? OPEN_BRACKET : indentation()
    case 'BAD_SCALAR_START':
    case 'BAD_ALIAS':
      return {
        message: 'a value without quotes cannot start with this character',
        hint: 'put the value in quotes'
      }
    case 'MISSING_CHAR':
      if (/quote/.test(message)) return { message: 'a quote is opened and never closed', hint: 'close it on its line' }
      if (/Sequence item/.test(message)) return indentation()
      return { message: 'a line without "key: value"', ...hinted(mappingHint(text.trim()) ?? lookAlikeHint(text)) }
    default:
      return {
        message: `not valid YAML: ${printable(message)}`,
        ...hinted(mappingHint(text.trim()) ?? lookAlikeHint(text))
      }
  }
}

/** The parser found a second key where a value should be. */
function implicitKey(lines: readonly string[], line: number): YamlFault {
  const text = lines[line - 1] ?? ''
  const slip = lookAlikeHint(text) ?? (/^-[A-Za-z]/.test(text.trim()) ? mappingHint(text.trim()) : undefined)
  if (slip !== undefined) return { message: 'a line that is not "key: value"', hint: slip }
  const next = lines.slice(line).find((other) => /^\s*[^\s#]/.test(other)) ?? ''
  if (!/:\s.*:(?:\s|$)/.test(text) && indentOf(next) > indentOf(text)) {
    return { message: 'the line below is indented deeper, but this key has a value already', hint: INDENT }
  }
  if (/:\s+memory:\s*(?:#.*)?$/.test(text)) return { message: SECOND_COLON, hint: 'write store: memory' }
  return { message: SECOND_COLON, hint: 'put the value in quotes' }
}

function indentation(): YamlFault {
  return { message: 'the indentation of this line fits no mapping above it', hint: INDENT }
}

const INDENT = 'the keys of one mapping start in the same column; two spaces more for each level'
const OPEN_BRACKET: YamlFault = {
  message: 'a bracket is opened above and not closed before this line',
  hint: 'close it with ] or }'
}
const SECOND_COLON = 'a second ": " in one line'

/** Spaces before a key. The "- " of a list counts, because the key follows it. */
function indentOf(line: string): number {
  return /^[\s-]*/.exec(line)?.[0].length ?? 0
}

function hinted(hint: string | undefined): { hint?: string } {
  return hint === undefined ? {} : { hint }
}

/** Control characters must not reach a terminal. */
function printable(message: string): string {
  return message.replace(/\p{Cc}+/gu, ' ').slice(0, 200)
}
