/** The state of one call: what it answered, what failed, and whether it is under way. */
import { useRef, useState } from 'preact/hooks'

export interface Call<Answer> {
  readonly answer: Answer | null
  readonly error: unknown
  readonly isBusy: boolean
  run(work: () => Promise<Answer>): void
  clear(): void
}

export function useCall<Answer>(): Call<Answer> {
  const [state, setState] = useState<{ answer: Answer | null; error: unknown; isBusy: boolean }>({
    answer: null,
    error: null,
    isBusy: false
  })
  /** The answer of an earlier call never replaces that of a later one. */
  const number = useRef(0)
  const run = (work: () => Promise<Answer>) => {
    number.current += 1
    const own = number.current
    const settle = (change: Partial<typeof state>) => {
      if (own === number.current) setState((before) => ({ ...before, isBusy: false, ...change }))
    }
    setState((before) => ({ ...before, error: null, isBusy: true }))
    work().then(
      (answer) => settle({ answer }),
      (error: unknown) => settle({ error, answer: null })
    )
  }
  const clear = () => {
    number.current += 1
    setState({ answer: null, error: null, isBusy: false })
  }
  return { ...state, run, clear }
}
