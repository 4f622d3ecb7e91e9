/** Returns the function that cancels the call. */
export declare function after(milliseconds: number, callback: () => void): () => void;
export declare function wait(milliseconds: number): Promise<void>;
