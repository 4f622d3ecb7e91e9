/** Decides when a request may be repeated, and after how long. */
import type { WxgateError } from './errors';
/** Returns null when a repeat does not help, or would have to wait too long. The caller knows
 *  whether a repeat is safe. */
export declare function pauseBefore(error: WxgateError, whenShown: () => Promise<void>): Promise<void> | null;
