/** One call of the mini-program, from the first try to the result. */
import type { Account } from './account';
import type { Handle } from './task';
import type { Send, Transport, WxResult } from './transport';
/** As in gateway.yaml: with a login, with a session if there is one, without a token. */
export type Auth = 'required' | 'optional' | 'public';
export interface Exchange {
    perform(what: Send, options: ExchangeOptions, handle?: Handle): Promise<WxResult>;
}
export interface ExchangeOptions {
    readonly auth: Auth;
    /** The body holds data that was encrypted with session_key. */
    readonly needsSessionKey: boolean;
    /** The route has an encrypted channel. */
    readonly isSealed?: boolean;
}
export interface ExchangeDependencies {
    readonly account: Account;
    readonly transport: Transport;
    readonly checkSession: () => Promise<boolean>;
    readonly whenShown: () => Promise<void>;
}
export declare function createExchange({ account, transport, checkSession, whenShown }: ExchangeDependencies): Exchange;
