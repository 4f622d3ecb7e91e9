import type { Send } from './transport';
import type { WxRequestOptions } from './wx';
export declare function isReading(method: string | undefined): boolean;
/** The method that counts for a gateway whose route has `methodOverride`. */
export declare function countedMethod({ method, header }: WxRequestOptions): string;
/** Returns true when sending the call twice has the effect of sending it once (RFC 9110,
 *  section 9.2.2). */
export declare function isIdempotent(what: Send): boolean;
/** wx puts `data` of a GET into the address. */
export declare function hasBody(what: Send): boolean;
