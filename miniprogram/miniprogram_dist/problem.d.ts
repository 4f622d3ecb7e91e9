import { type WxgateError } from './errors';
import type { WxHeaders } from './wx';
/** Returns null for every response that is not the gateway's error, whatever its status: a 401
 *  of the business service belongs to the caller. */
export declare function readProblem(statusCode: number, data: unknown, header: WxHeaders | undefined): WxgateError | null;
/** Returns true when the headers announce an error in the gateway's form. */
export declare function isProblemType(header: WxHeaders | undefined): boolean;
export declare function headerOf(header: WxHeaders | undefined, name: string): string | undefined;
