"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.pauseBefore = pauseBefore;
var timers_1 = require("./timers");
/** Milliseconds: before a repeat after a lost connection, and the longest that a call waits because the gateway says so. */
var AFTER_LOSS = 300;
var LONGEST = 10000;
/** Null when a repeat makes no sense, or has to wait longer than a call may take. Whether a repeat is safe is for the caller
 *  to know. */
function pauseBefore(error, whenShown) {
    var _a;
    if (error.action === 'retry') {
        var milliseconds = ((_a = error.retryAfter) !== null && _a !== void 0 ? _a : 1) * 1000;
        return milliseconds <= LONGEST ? (0, timers_1.wait)(milliseconds) : null;
    }
    // WeChat ends whatever is under way some seconds after the mini-program went to the background.
    if (error.code === 'interrupted')
        return whenShown();
    if (error.code === 'network' || error.code === 'timeout' || isForeign(error))
        return (0, timers_1.wait)(AFTER_LOSS);
    return null;
}
/** A load balancer without a gateway behind it. */
function isForeign(error) {
    return error.code === 'invalid_response' && error.status >= 500;
}
