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
exports.readProblem = readProblem;
exports.isProblemType = isProblemType;
exports.headerOf = headerOf;
/** Reads the gateway's errors (application/problem+json, RFC 9457) out of responses. */
var bytes_1 = require("./bytes");
var errors_1 = require("./errors");
var TYPE = 'urn:wxgate:error:';
/** Returns null for every response that is not the gateway's error, whatever its status: a 401
 *  of the business service belongs to the caller. */
function readProblem(statusCode, data, header) {
    if (statusCode < 400)
        return null;
    var body = toObject(data);
    if (!body || body.type !== TYPE + String(body.code))
        return null;
    var seconds = Number(headerOf(header, 'retry-after'));
    return (0, errors_1.createError)(__assign({ code: String(body.code), status: statusCode, action: body.action === 'refresh' || body.action === 'login' || body.action === 'retry' ? body.action : 'none', detail: String(body.detail), requestId: String(body.request_id) }, (seconds > 0 ? { retryAfter: seconds } : {})));
}
/** Returns true when the headers announce an error in the gateway's form. */
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
/** Longest body, in characters or bytes, that is parsed. The gateway's errors have a few
 *  hundred. */
var MAX_LENGTH = 16 * 1024;
/** Takes text, bytes or parsed JSON: `dataType` and `responseType` of the call decide which of
 *  them arrives. */
function toObject(data) {
    if ((0, bytes_1.isBytes)(data))
        return toObject(data.byteLength > MAX_LENGTH ? '' : (0, bytes_1.toText)(new Uint8Array(data)));
    if (typeof data === 'string') {
        if (data.charAt(0) !== '{' || data.length > MAX_LENGTH)
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
