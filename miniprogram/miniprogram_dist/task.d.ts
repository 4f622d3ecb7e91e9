import type { WxHeaders, WxProgress, WxTask } from './wx';
export interface Task<Result> extends Promise<Result> {
    abort(): void;
    onHeadersReceived(listener: (result: {
        header: WxHeaders;
        statusCode?: number;
    }) => void): void;
    /** With `enableChunked` only. The body of an error of the gateway's is kept back. */
    onChunkReceived(listener: (result: {
        data: ArrayBuffer;
    }) => void): void;
    /** Of an upload or a download. */
    onProgressUpdate(listener: (progress: WxProgress) => void): void;
}
/** The other end of a task: tells it what happens. A repeat after a login has a wx task of its own. */
export interface Handle {
    readonly isAborted: boolean;
    /** Called when the task is aborted; each call takes the place of the one before. */
    onAbort(stop: () => void): void;
    watch(task: WxTask): void;
}
export declare function createTask<Result>(start: (handle: Handle) => Promise<Result>): Task<Result>;
