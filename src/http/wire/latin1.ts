/** Text of bytes, one character for each. */

/** A method of every Buffer that the types of Node leave out. */
interface Latin1Buffer {
  latin1Slice(start: number, end: number): string
}

/** As `bytes.toString('latin1', start, end)`, without its checks of arguments. */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as unknown as Latin1Buffer).latin1Slice(start, end)
}
