/** Follows redirects of requests: wx itself would take the token along to any address. */
import type { Exchange } from './exchange';
import type { Urls } from './urls';
export declare function followRedirects(exchange: Exchange, urls: Urls): Exchange;
