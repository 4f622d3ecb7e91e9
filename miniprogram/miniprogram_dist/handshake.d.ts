/** One WebSocket handshake, and the events of the socket that it opens. */
import type { Wx, WxFailure, WxHeaders, WxSocketClose, WxSocketOptions, WxSocketTask } from './wx';
export interface SocketEvents {
    /** The handshake failed or took too long. No other event follows. */
    lost(failure: WxFailure): void;
    opened(task: WxSocketTask, result: {
        header: WxHeaders;
    }): void;
    message(message: {
        data: string | ArrayBuffer;
    }): void;
    failed(failure: WxFailure): void;
    closed(close: WxSocketClose): void;
}
/** Returns the function that gives up the handshake: no event follows. */
export declare function startHandshake(wx: Wx, options: WxSocketOptions, events: SocketEvents): () => void;
