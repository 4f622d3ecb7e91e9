/** Random text sent beside a login code or a refresh token. The gateway answers a repeat only
 *  when it carries the same text. */
/** Math.random is enough: the text is worth nothing without the code or token beside it. */
export declare function createAttempt(): string;
