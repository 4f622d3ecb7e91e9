/** Reads a list of headers: name and value in turns. */

/** The value of a header; all of them, joined, when it was sent more than once (RFC 9110, section
 *  5.3).
 *  @param name In small letters. */
export function headerValue(headers: readonly string[], name: string): string | undefined {
  let value: string | undefined
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const candidate = headers[index] as string
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue
    const found = headers[index + 1] as string
    value = value === undefined ? found : `${value}, ${found}`
  }
  return value
}
