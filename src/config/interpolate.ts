/** Fills in `${VAR}`, `${VAR:-default}` and `$${` inside a scalar. The result is text and is
 *  never parsed as YAML. */

export type Environment = Readonly<Record<string, string | undefined>>

export interface Fault {
  /** Part of the text. */
  readonly token: string
  readonly message: string
  readonly hint: string
}

export interface Interpolated {
  readonly text: string
  /** True when a placeholder was filled in. */
  readonly isFilled: boolean
  readonly faults: readonly Fault[]
}

const NAME = '[A-Za-z_][A-Za-z0-9_]*'

/** As in a POSIX shell, the text after `:-` replaces a variable that is unset or empty. */
export function interpolate(text: string, env: Environment): Interpolated {
  if (!text.includes('${')) return { text, isFilled: false, faults: [] }
  const faults: Fault[] = []
  let isFilled = false
  const whole = new RegExp(`^(${NAME})(?::-([^{]*))?$`)
  const filled = text.replace(/\$\$\{|\$\{([^}]*)(\}?)/g, (token: string, body: string | undefined, end: string) => {
    if (token === '$${') return '${'
    const match = end === '}' ? whole.exec(body ?? '') : null
    if (match === null) {
      faults.push({
        token,
        message: 'a ${ that does not start a placeholder',
        hint: `write \${NAME} or \${NAME:-default}, and $\${ for a plain \${`
      })
      return token
    }
    const [, name = '', fallback] = match
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    isFilled = true
    if (value !== undefined && (value !== '' || fallback === undefined)) return value
    if (fallback !== undefined) return fallback
    faults.push({
      token,
      message: `the environment variable ${name} is not set`,
      hint: `set it, or give a default: \${${name}:-…}`
    })
    return ''
  })
  return { text: filled, isFilled, faults }
}

/** Hides the punctuation of placeholders from the YAML parser: inside `[…]` and `{…}` it would
 *  end an entry. Each such character becomes one private-use character, so that positions stay. A
 *  placeholder that holds a quote, a backslash or a line break follows the rules of YAML. */
export function maskPlaceholders(text: string): { masked: string; unmask: (text: string) => string } {
  const plain = '{}[],'
  const hidden = unusedCharacters(text, plain.length)
  if (hidden === null || !text.includes('${')) return { masked: text, unmask: (value) => value }
  const placeholder = new RegExp(`\\$\\{${NAME}(?::-[^{}'"\\\\\\r\\n]*)?\\}`, 'g')
  const masked = text.replace(placeholder, (match) => {
    return match.replace(/[{}[\],]/g, (char) => hidden[plain.indexOf(char)] ?? char)
  })
  const back = new RegExp(`[${hidden}]`, 'g')
  return { masked, unmask: (value) => value.replace(back, (char) => plain[hidden.indexOf(char)] ?? char) }
}

/** A run of private-use characters that do not occur in the text. */
function unusedCharacters(text: string, count: number): string | null {
  for (let first = 0xe000; first + count <= 0xf900; first += count) {
    const run = Array.from({ length: count }, (_, index) => String.fromCharCode(first + index)).join('')
    if (!new RegExp(`[${run}]`).test(text)) return run
  }
  return null
}
