/** Runs a limited number of jobs at a time; the others wait in order. */
export interface Queue {
    /** Calls `start` when there is room. `start` calls `release` when its job is done. */
    enter(start: (release: () => void) => void, isUrgent?: boolean): Place;
}
export interface Place {
    /** Returns true when `start` was still waiting: it is then never called. */
    leave(): boolean;
}
export declare function createQueue(limit: number): Queue;
