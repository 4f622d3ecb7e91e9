/** At most so many at a time; the rest waits in order. */
export interface Queue {
    /** Calls `start` when there is room; it has to call `release` once when it is done. */
    enter(start: (release: () => void) => void, isUrgent?: boolean): Waiting;
}
export interface Waiting {
    /** True when `start` had not been called yet, and now never will. */
    leave(): boolean;
}
export declare function createQueue(limit: number): Queue;
