/** Properties of request methods. */
import type { Send } from './transport';
export declare function isReading(method: string | undefined): boolean;
/** Returns true when sending the call twice has the effect of sending it once (RFC 9110,
 *  section 9.2.2). */
export declare function isIdempotent(what: Send): boolean;
/** wx puts `data` of a GET into the address. */
export declare function hasBody(what: Send): boolean;
