import type { Client } from './client';
import { type ClientOptions } from './options';
/** Clients of one factory and one `wx` share WeChat's limits, and their session when they have
 *  the same options. */
export declare function createClientFactory(getGlobalWx: () => unknown): (options: ClientOptions) => Client;
