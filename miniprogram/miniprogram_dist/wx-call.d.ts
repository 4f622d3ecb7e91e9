import type { WxFailure } from './wx';
/** Time for wx to report its own timeout before this one. */
export declare const GRACE_MS = 1000;
export interface WxCall<Result> {
    /** Name in the errMsg of a timeout, such as `login`. */
    readonly name: string;
    /** Milliseconds without a callback, counted from the start or from the last `extend`. */
    readonly timeoutMs: number;
    /** Calls wx and returns what wx returned. */
    start(callbacks: Outcome<Result>, extend: () => void): unknown;
    /** Called when the time is over. */
    stop?(): void;
}
export interface Outcome<Result> {
    success(result: Result): void;
    fail(failure?: WxFailure): void;
}
/** Rejects with a WxFailure: that of wx, a thrown value, or a timeout when wx called neither
 *  callback in time. */
export declare function callWx<Result>({ name, timeoutMs, start, stop }: WxCall<Result>): Promise<Result>;
export declare function isPromise(value: unknown): value is PromiseLike<unknown>;
