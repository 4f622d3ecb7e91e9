/** User-Agent and Referer in the access log: bounded text that a client chose. */

/** Longest logged value (characters). */
const LONGEST = 256

/** Tokens and openids: no product, version or directory is as long. */
const LONG_RUN = /[\w+=~-]{24,}/g

/** Without runs that could be a credential.
 *  @param value Bytes as characters (`latin1`). */
export function clientText(value: string): string {
  const text = Buffer.from(value.slice(0, LONGEST * 4), 'latin1').toString('utf8')
  return text.replaceAll(LONG_RUN, '…').slice(0, LONGEST)
}

/** A URL without user, query and fragment, which can hold credentials. */
export function refererText(value: string): string {
  const [place = ''] = value.split(/[?#]/, 1)
  return clientText(place.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, '$1'))
}

/** As nginx writes a variable: a byte that could end the quoted text is \xHH. */
export function quotedText(text: string): string {
  const safe = Buffer.from(text)
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]|["\\]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return `"${safe === '' ? '-' : safe}"`
}
