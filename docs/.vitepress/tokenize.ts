/** Splits text for the search: words, and for Chinese, which has no spaces, each pair of neighbouring characters.
 *  The site runs this function from its source text, so it uses nothing from outside. */
export function tokenize(text: string): string[] {
  const tokens: string[] = []
  for (const [word] of text.matchAll(/\p{Script=Han}+|[\p{L}\p{N}_]+?(?=\p{Script=Han}|[^\p{L}\p{N}_]|$)/gu)) {
    const characters = [...word]
    if (!/^\p{Script=Han}/u.test(word) || characters.length === 1) tokens.push(word)
    else
      for (let index = 1; index < characters.length; index++)
        tokens.push(`${characters[index - 1]}${characters[index]}`)
  }
  return tokens
}
