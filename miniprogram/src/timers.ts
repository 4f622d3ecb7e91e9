/** The timers that every mini-program has. */
declare function setTimeout(callback: () => void, milliseconds: number): unknown
declare function clearTimeout(timer: unknown): void

/** Returns the function that cancels the call. */
export function after(milliseconds: number, callback: () => void): () => void {
  const timer = setTimeout(callback, milliseconds)
  return () => clearTimeout(timer)
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => void after(milliseconds, resolve))
}
