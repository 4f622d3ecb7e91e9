/** Other spellings of a name. */

export function capitalised(name: string): string {
  return name.slice(0, 1).toUpperCase() + name.slice(1)
}

export function encodeFirst(name: string): string {
  return name === '' ? '' : triplet(name.slice(0, 1)) + name.slice(1)
}

export function encodeAll(name: string): string {
  return name.replace(/[A-Za-z0-9]/g, triplet)
}

export function triplet(letter: string): string {
  return `%${letter.charCodeAt(0).toString(16)}`
}

/** The first letter as its twin of full width, encoded. */
export function fullwidth(name: string): string {
  const code = name.charCodeAt(0)
  if (!(code > 0x20 && code < 0x7f)) return name
  return encodeURIComponent(String.fromCharCode(code + 0xfee0)) + name.slice(1)
}
