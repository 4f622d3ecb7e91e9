/** Header lines as text: `Name: value` and CRLF each. */

/** Lines that the gateway adds to the headers of a client. */
export interface OwnLines {
  /** Values of this request. May end within a line. */
  readonly text: string
  /** Line ends in `text`. */
  readonly count: number
  /** The rest, which many requests share: the end of that line and lines of {@link formatLines}. */
  readonly prepared: string
}

export const NO_LINES: OwnLines = { text: '', count: 0, prepared: '' }

/** Throws for a header that would read as more than one line.
 *  @param headers Name and value in turns. */
export function formatLines(headers: readonly string[]): string {
  let text = ''
  for (let index = 0; index + 1 < headers.length; index += 2) text += `${headers[index]}: ${headers[index + 1]}\r\n`
  if (countLines(text) !== headers.length / 2) throw new Error('a header holds a line end')
  return text
}

/** Name and value in turns. */
export function readLines(text: string): string[] {
  const headers: string[] = []
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(': ')
    if (colon > 0) headers.push(line.slice(0, colon), line.slice(colon + 2))
  }
  return headers
}

/** @param end Line ends from here on do not count. */
export function countLines(text: string, end: number = text.length): number {
  let lines = 0
  for (let at = text.indexOf('\n'); at >= 0 && at < end; at = text.indexOf('\n', at + 1)) lines++
  return lines
}
