/** WebSockets with the token in the handshake, in the form of wx's own SocketTask. */
import type { Account } from './account';
import type { Auth } from './exchange';
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
    readonly runtime: Pick<Runtime, 'wx' | 'takeSocket'>;
    readonly urls: Urls;
}
export declare function openSocket(dependencies: SocketDependencies, options: SocketOptions): WxSocketTask;
