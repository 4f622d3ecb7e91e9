/** Spans of steps and of calls inside the handling of a request (OpenTelemetry). */

/** A request to another server. */
export interface TracedCall {
  readonly method: string
  /** Scheme, host and port, perhaps with a base path. */
  readonly url: string
  /** Without the query, which can hold credentials. */
  readonly path: string
  /** 1 for a retry, and so on. */
  readonly resends: number
}

export interface CallSpan {
  /** For the other server (W3C Trace Context, section 3.2). */
  readonly traceparent: string
  /** @param status 0 without an answer.
   *  @param failure A word, or empty. */
  ended(status: number, failure: string): void
}

export type OpenCallSpan = (call: TracedCall) => CallSpan

export interface Tracer {
  /** Runs a part of the current request. */
  step<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Opens spans of calls of the current request, later ones too. Null when it has no trace. */
  calls(): OpenCallSpan | null
  /** Opens spans of calls that belong to a request that may be over. Null for a context that is not
   *  sampled, and for other text.
   *  @param traceparent The context of the request. */
  callsAfter(traceparent: string): OpenCallSpan | null
}

export const NO_TRACER: Tracer = { step: (_, work) => work(), calls: () => null, callsAfter: () => null }
