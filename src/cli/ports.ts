/** Reads port numbers of a command line. */

/** Throws for anything but a port number. 0 takes a free port. */
export function readPort(flag: string, text: string): number {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    throw new Error(`${flag} must be 0 to 65535, not ${JSON.stringify(text)}`)
  return Number(text)
}
