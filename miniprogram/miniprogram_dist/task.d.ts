import type { WxHeaders, WxProgress, WxTask } from './wx';
export interface Task<Result> extends Promise<Result> {
    /** Rejects the promise with `aborted` at once, unless it is settled. */
    abort(): void;
    onHeadersReceived(listener: (result: {
        header: WxHeaders;
        statusCode?: number;
    }) => void): void;
    /** With `enableChunked` only. The body of a gateway error is kept back. */
    onChunkReceived(listener: (result: {
        data: ArrayBuffer;
    }) => void): void;
    /** Of an upload or a download. */
    onProgressUpdate(listener: (progress: WxProgress) => void): void;
}
/** The inner end of a task. A repeat after a login has its own wx task. */
export interface Handle {
    readonly isAborted: boolean;
    /** Sets the function that abort() calls, replacing the previous one. */
    onAbort(stop: () => void): void;
    watch(task: WxTask): void;
}
/** @param kind Name of the call in errMsg, as wx writes it. */
export declare function createTask<Result>(kind: string, start: (handle: Handle) => Promise<Result>): Task<Result>;
