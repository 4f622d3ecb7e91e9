"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.pauseBefore = pauseBefore;
var timers_1 = require("./timers");
/** Pause before a repeat after a lost connection. */
var AFTER_LOSS_MS = 300;
/** Longest Retry-After that a call waits for. */
var MAX_PAUSE_MS = 10000;
/** Returns null when a repeat does not help, or would have to wait too long. The caller knows
 *  whether a repeat is safe. */
function pauseBefore(error, whenShown) {
    var _a;
    if (error.action === 'retry') {
        var pauseMs = ((_a = error.retryAfter) !== null && _a !== void 0 ? _a : 1) * 1000;
        return pauseMs <= MAX_PAUSE_MS ? (0, timers_1.wait)(pauseMs) : null;
    }
    // WeChat ends every request some seconds after the mini-program went to the background.
    if (error.code === 'interrupted')
        return whenShown();
    if (error.code === 'network' || error.code === 'timeout' || isFromProxy(error))
        return (0, timers_1.wait)(AFTER_LOSS_MS);
    return null;
}
/** An error page of a load balancer that found no gateway behind it. */
function isFromProxy(error) {
    return error.code === 'invalid_response' && error.status >= 500;
}
