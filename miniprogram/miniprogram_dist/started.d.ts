/** The wx task of a call that has started, which a wrapper of wx may give later, or never. */
import type { WxStarted, WxTask } from './wx';
export interface Started {
    /** @param watch Called with the task, as soon as it is there. */
    receive(returned: WxStarted, watch: (task: WxTask) => void): void;
    /** Aborts the task, or will when it comes. */
    abort(): void;
}
export declare function createStarted(): Started;
