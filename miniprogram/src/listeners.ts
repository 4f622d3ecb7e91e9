/** Listeners of one event. */
export type Listeners<T> = ((value: T) => void)[]

export function tell<T>(listeners: Listeners<T>, value: T): void {
  for (const listener of listeners.slice()) listener(value)
}
