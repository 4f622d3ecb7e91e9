/** Remembers a decision about header names, once per spelling. */
import { flatCopy } from '../../flat-text.ts'

/** A power of two. Names with the same place replace each other. */
const PLACES = 1_024
/** Longer names are decided each time. */
const MAX_LENGTH = 64

interface Remembered<T> {
  readonly name: string
  readonly decision: T
}

/** @param decide Depends on the name only. */
export function createSpellings<T>(decide: (name: string) => T): (name: string) => T {
  const places = new Array<Remembered<T> | undefined>(PLACES).fill(undefined)

  return (name) => {
    const place = placeOf(name)
    const last = places[place]
    if (last !== undefined && last.name === name) return last.decision
    const decision = decide(name)
    if (name.length <= MAX_LENGTH) places[place] = { name: flatCopy(name), decision }
    return decision
  }
}

/** Tells apart the names of usual requests. Hashing a whole name, as a Map does, costs more. */
function placeOf(name: string): number {
  const { length } = name
  const first = name.charCodeAt(0)
  const middle = name.charCodeAt(length >> 1)
  const late = name.charCodeAt(length - 2)
  return (length * 5 + first * 17 + middle * 67 + late * 257) & (PLACES - 1)
}
