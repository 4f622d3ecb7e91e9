/** WebSockets with the token in the handshake. What stands outside looks like wx's own SocketTask. */
import type { Account } from './account';
import type { Auth, Exchange } from './exchange';
import type { Runtime } from './runtime';
import type { Urls } from './urls';
import type { WxCallbacks, WxSocketOptions, WxSocketTask } from './wx';
export interface SocketOptions extends WxSocketOptions, WxCallbacks<{
    errMsg: string;
}> {
    auth?: Auth;
}
export interface SocketDependencies {
    readonly account: Account;
    readonly exchange: Exchange;
    readonly runtime: Runtime;
    readonly urls: Urls;
}
export declare function openSocket(dependencies: SocketDependencies, options: SocketOptions): WxSocketTask;
