/** When a request may be sent once more, and after how long. */
import type { WxgateError } from './errors';
/** Null when a repeat makes no sense, or has to wait longer than a call may take. Whether a repeat is safe is for the caller
 *  to know. */
export declare function pauseBefore(error: WxgateError, whenShown: () => Promise<void>): Promise<void> | null;
