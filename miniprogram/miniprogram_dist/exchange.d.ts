/** A call of the mini-program's, from the first try to what the caller gets to see. */
import type { Account } from './account';
import type { Runtime } from './runtime';
import type { Handle } from './task';
import type { Send, Transport } from './transport';
import type { Urls } from './urls';
import type { WxRequestResult } from './wx';
/** As in gateway.yaml: with a login, with one if there is one, without. */
export type Auth = 'required' | 'optional' | 'public';
export interface Exchange {
    perform(what: Send, options: ExchangeOptions, handle?: Handle): Promise<WxRequestResult>;
}
export interface ExchangeOptions {
    readonly auth: Auth;
    /** The body holds what was encrypted with session_key. */
    readonly needsSessionKey: boolean;
}
export interface ExchangeDependencies {
    readonly account: Account;
    readonly transport: Transport;
    readonly runtime: Runtime;
    readonly urls: Urls;
}
export declare function createExchange({ account, transport, runtime, urls }: ExchangeDependencies): Exchange;
