/** Listeners of one event. */
export type Listeners<T> = ((value: T) => void)[];
export declare function tell<T>(listeners: Listeners<T>, value: T): void;
