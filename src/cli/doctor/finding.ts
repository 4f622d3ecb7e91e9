/** One line of `wxgate doctor`. */

export interface Finding {
  readonly status: 'ok' | 'warning' | 'failed'
  /** The checked thing, named as in gateway.yaml. */
  readonly subject: string
  readonly message: string
  /** The next step of the operator; empty for a check that passed. */
  readonly advice?: string
}

export type Check = () => Promise<readonly Finding[]>

export const ok = (subject: string, message: string): Finding => ({ status: 'ok', subject, message })

export const warning = (subject: string, message: string, advice: string): Finding => ({
  status: 'warning',
  subject,
  message,
  advice
})

export const failed = (subject: string, message: string, advice: string): Finding => ({
  status: 'failed',
  subject,
  message,
  advice
})
