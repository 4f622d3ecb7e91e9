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
exports.readProblem = readProblem;
exports.isProblemType = isProblemType;
exports.headerOf = headerOf;
/** A plain Error with members: a subclass of Error loses its prototype in ECMAScript 5. */
function createError(members) {
    var code = members.code, _a = members.status, status = _a === void 0 ? 0 : _a, _b = members.action, action = _b === void 0 ? 'none' : _b, detail = members.detail, _c = members.requestId, requestId = _c === void 0 ? '' : _c, _d = members.errMsg, errMsg = _d === void 0 ? "".concat(code, ": ").concat(detail) : _d;
    var error = new Error("".concat(code, ": ").concat(detail));
    var own = { name: 'WxgateError', code: code, status: status, action: action, detail: detail, requestId: requestId, errMsg: errMsg };
    if (members.retryAfter !== undefined)
        own.retryAfter = members.retryAfter;
    if (members.errno !== undefined)
        own.errno = members.errno;
    var target = error;
    for (var name in own)
        target[name] = own[name];
    return error;
}
function isWxgateError(value) {
    return typeof value === 'object' && value !== null && value.name === 'WxgateError';
}
var INTERRUPTED = 600003;
var DOMAIN_NOT_LISTED = 600002;
var INVALID_URL = 600009;
/** A wx call that got no answer. */
function fromWxFailure(failure) {
    var _a;
    var errMsg = String((_a = failure === null || failure === void 0 ? void 0 : failure.errMsg) !== null && _a !== void 0 ? _a : 'fail');
    var errno = failure === null || failure === void 0 ? void 0 : failure.errno;
    var about = errno === undefined ? { errMsg: errMsg } : { errMsg: errMsg, errno: errno };
    if (errno === DOMAIN_NOT_LISTED || errno === INVALID_URL || /url not in domain list|invalid url/i.test(errMsg)) {
        return createError(__assign({ code: 'invalid_url', detail: 'WeChat does not allow this address.' }, about));
    }
    if (errno === INTERRUPTED || /interrupted/i.test(errMsg)) {
        return createError(__assign({ code: 'interrupted', detail: 'WeChat ended the request in the background.' }, about));
    }
    if (/abort/i.test(errMsg))
        return createError(__assign({ code: 'aborted', detail: 'The request was aborted.' }, about));
    if (/time(d)? ?out/i.test(errMsg)) {
        return createError(__assign({ code: 'timeout', detail: 'No answer arrived in time.' }, about));
    }
    return createError(__assign({ code: 'network', detail: 'The gateway could not be reached.' }, about));
}
var TYPE = 'urn:wxgate:error:';
/** The gateway's error in a response; null for every other response, whatever its status: a business service may answer 401
 *  itself, and has then seen the request. */
function readProblem(statusCode, data, header) {
    if (statusCode < 400)
        return null;
    var body = toObject(data);
    if (!body || body.type !== TYPE + String(body.code))
        return null;
    var seconds = Number(headerOf(header, 'retry-after'));
    return createError(__assign({ code: String(body.code), status: statusCode, action: body.action === 'refresh' || body.action === 'login' || body.action === 'retry' ? body.action : 'none', detail: String(body.detail), requestId: String(body.request_id) }, (seconds > 0 ? { retryAfter: seconds } : {})));
}
/** Whether a response with these headers holds an error in the gateway's form (RFC 9457). */
function isProblemType(header) {
    var _a;
    return /^application\/problem\+json/i.test((_a = headerOf(header, 'content-type')) !== null && _a !== void 0 ? _a : '');
}
function headerOf(header, name) {
    for (var key in header)
        if (key.toLowerCase() === name)
            return header[key];
    return undefined;
}
/** Characters (or bytes) that are looked at for a problem; the gateway's are a few hundred. */
var LONGEST = 16 * 1024;
/** `dataType` and `responseType` decide in which form the same body comes. */
function toObject(data) {
    if (isBytes(data))
        return toObject(data.byteLength > LONGEST ? '' : toText(data));
    if (typeof data === 'string') {
        if (data.charAt(0) !== '{' || data.length > LONGEST)
            return null;
        try {
            return toObject(JSON.parse(data));
        }
        catch (_error) {
            return null;
        }
    }
    return typeof data === 'object' && data !== null ? data : null;
}
/** Also for one that another JavaScript context made. */
function isBytes(data) {
    return Object.prototype.toString.call(data) === '[object ArrayBuffer]';
}
/** The gateway's errors are ASCII but for names that it quotes; mini-programs have no TextDecoder everywhere. */
function toText(data) {
    var _a;
    var bytes = new Uint8Array(data);
    var encoded = '';
    for (var index = 0; index < bytes.length; index++) {
        var byte = (_a = bytes[index]) !== null && _a !== void 0 ? _a : 0;
        encoded += "%".concat(byte < 16 ? '0' : '').concat(byte.toString(16));
    }
    try {
        return decodeURIComponent(encoded);
    }
    catch (_error) {
        return '';
    }
}
