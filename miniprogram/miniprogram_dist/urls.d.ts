export interface Urls {
    readonly base: string;
    /** Returns the absolute address of one that is relative to the base, or under it. Throws
     *  `invalid_url`. */
    resolve(url: string): string;
    /** The same for a WebSocket: ws and wss instead of http and https. */
    resolveSocket(url: string): string;
    isUnderBase(url: string): boolean;
    /** Returns the absolute address that a Location header names. */
    follow(from: string, location: string): string;
}
export declare function createUrls(baseUrl: string): Urls;
