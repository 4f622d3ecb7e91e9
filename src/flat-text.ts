/** Copies a text before it is kept: a part of a longer text keeps all of that text in memory. */

/** @param text One character for each byte. */
export function flatCopy(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
