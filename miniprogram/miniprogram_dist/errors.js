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
exports.createError = createError;
exports.isWxgateError = isWxgateError;
exports.fromWxFailure = fromWxFailure;
/** Makes a plain Error with members: in ECMAScript 5 a subclass of Error loses its prototype. */
function createError(members) {
    var code = members.code, _a = members.status, status = _a === void 0 ? 0 : _a, _b = members.action, action = _b === void 0 ? 'none' : _b, detail = members.detail, _c = members.requestId, requestId = _c === void 0 ? '' : _c, _d = members.errMsg, errMsg = _d === void 0 ? "".concat(code, ": ").concat(detail) : _d;
    var own = { name: 'WxgateError', code: code, status: status, action: action, detail: detail, requestId: requestId, errMsg: errMsg };
    if (members.retryAfter !== undefined)
        own.retryAfter = members.retryAfter;
    if (members.errno !== undefined)
        own.errno = members.errno;
    var error = new Error("".concat(code, ": ").concat(detail));
    for (var name in own)
        error[name] = own[name];
    return error;
}
function isWxgateError(value) {
    return typeof value === 'object' && value !== null && value.name === 'WxgateError';
}
/** Numbers of WeChat's errno table. */
var TIMED_OUT = 5;
var DOMAIN_NOT_LISTED = 600002;
var INTERRUPTED = 600003;
var INVALID_URL = 600009;
/** Reads the failure of a wx call that got no answer. Its text comes from WeChat, the phone's
 *  system or the network library: "abort" or "interrupt" within a text says nothing about the
 *  caller or the background. */
function fromWxFailure(_a) {
    var errMsg = _a.errMsg, errno = _a.errno;
    var about = errno === undefined ? { errMsg: errMsg } : { errMsg: errMsg, errno: errno };
    if (errno === DOMAIN_NOT_LISTED || errno === INVALID_URL || /url not in domain list|invalid url/i.test(errMsg)) {
        return createError(__assign({ code: 'invalid_url', detail: 'WeChat does not allow this address.' }, about));
    }
    if (errno === INTERRUPTED || /:fail (network )?interrupted\b/i.test(errMsg)) {
        return createError(__assign({ code: 'interrupted', detail: 'WeChat ended the request in the background.' }, about));
    }
    if (errno === TIMED_OUT || /time(d)?[ _-]?out|超时|逾時/i.test(errMsg)) {
        return createError(__assign({ code: 'timeout', detail: 'No answer arrived in time.' }, about));
    }
    return createError(__assign({ code: 'network', detail: 'The gateway could not be reached.' }, about));
}
