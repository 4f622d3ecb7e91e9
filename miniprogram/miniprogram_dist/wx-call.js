"use strict";
var __assign = (this && this.__assign) || function () {
    __assign = Object.assign || function(t) {
        for (var s, i = 1, n = arguments.length; i < n; i++) {
            s = arguments[i];
            for (var p in s) if (Object.prototype.hasOwnProperty.call(s, p))
                t[p] = s[p];
        }
        return t;
    };
    return __assign.apply(this, arguments);
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.GRACE_MS = void 0;
exports.callWx = callWx;
exports.isPromise = isPromise;
/** One call of wx as a promise that always settles. */
var timers_1 = require("./timers");
/** Time for wx to report its own timeout before this one. */
exports.GRACE_MS = 1000;
/** Rejects with a WxFailure: that of wx, a thrown value, or a timeout when wx called neither
 *  callback in time. */
function callWx(_a) {
    var name = _a.name, timeoutMs = _a.timeoutMs, start = _a.start, stop = _a.stop;
    return new Promise(function (resolve, reject) {
        var isSettled = false;
        var expire = function () {
            if (!settle())
                return;
            stop === null || stop === void 0 ? void 0 : stop();
            reject({ errMsg: "".concat(name, ":fail timeout") });
        };
        var cancel = (0, timers_1.after)(timeoutMs, expire);
        /** Returns true the first time. */
        var settle = function () {
            var isFirst = !isSettled;
            isSettled = true;
            cancel();
            return isFirst;
        };
        var extend = function () {
            if (isSettled)
                return;
            cancel();
            cancel = (0, timers_1.after)(timeoutMs, expire);
        };
        try {
            var returned = start({
                success: function (result) { return settle() && resolve(result); },
                fail: function (failure) { var _a; return settle() && reject(__assign(__assign({}, failure), { errMsg: String((_a = failure === null || failure === void 0 ? void 0 : failure.errMsg) !== null && _a !== void 0 ? _a : "".concat(name, ":fail")) })); }
            }, extend);
            // Taro and uni-app also return a promise. The callbacks have already reported its outcome.
            if (isPromise(returned))
                returned.then(undefined, function () { });
        }
        catch (error) {
            if (settle())
                reject({ errMsg: "".concat(name, ":fail ").concat(String(error)) });
        }
    });
}
function isPromise(value) {
    return typeof value === 'object' && value !== null && typeof value.then === 'function';
}
