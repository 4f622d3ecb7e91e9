/** Formats bytes as text for a report. */

/** Length of a piece of the token that must not appear. */
const PIECE = 12
/** Characters of one text that are shown. */
const MAX_SHOWN = 1_600

/** Replaces every piece of the token, in any case and direction, by `[token]`; escapes control
 *  characters. */
export function showBytes(text: string, token: string | null): string {
  const short = text.length > MAX_SHOWN ? text.slice(0, MAX_SHOWN) : text
  const shown = token === null ? short : withoutToken(short, token)
  const rest = text.length - short.length
  return visible(shown) + (rest > 0 ? `… and ${rest} bytes more` : '')
}

function withoutToken(text: string, token: string): string {
  const haystack = token.toLowerCase()
  const reversed = haystack.split('').reverse().join('')
  const lower = text.toLowerCase()
  let result = ''
  let at = 0
  while (at < text.length) {
    const piece = lower.slice(at, at + PIECE)
    if (piece.length < PIECE || !(haystack.includes(piece) || reversed.includes(piece))) {
      result += text[at]
      at++
      continue
    }
    const source = haystack.includes(piece) ? haystack : reversed
    let length = PIECE
    while (at + length < text.length && source.includes(lower.slice(at, at + length + 1))) length++
    if (!result.endsWith('[token]')) result += '[token]'
    at += length
  }
  return result
}

function visible(text: string): string {
  let result = ''
  for (const character of text) {
    const code = character.charCodeAt(0)
    if (character === '\\') result += '\\\\'
    else if (character === '\r') result += '\\r'
    else if (character === '\n') result += '\\n\n'
    else if (code >= 0x20 && code < 0x7f) result += character
    else result += `\\x${code.toString(16).padStart(2, '0')}`
  }
  return result.replace(/\n$/, '')
}
