import type { Transport } from './transport';
import type { UserKeys } from './user-keys';
import type { Wx } from './wx';
export interface ChannelOptions {
    readonly transport: Transport;
    readonly wx: Wx;
    readonly keys: UserKeys;
    /** Address of the gateway: the rest of an address is the target that it receives. */
    readonly base: string;
    /** Empty for the mini-program's own. */
    readonly appId: string;
    readonly userId: () => string;
}
/** Passes everything on but requests with `isSealed`. */
export declare function withChannel({ transport, wx, keys, base, appId, userId }: ChannelOptions): Transport;
