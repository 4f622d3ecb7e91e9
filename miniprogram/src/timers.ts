/** The timers that every mini-program has. */
declare function setTimeout(callback: () => void, milliseconds: number): unknown

export function after(milliseconds: number, callback: () => void): void {
  setTimeout(callback, milliseconds)
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => after(milliseconds, resolve))
}
