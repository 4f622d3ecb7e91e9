"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.isReading = isReading;
exports.countedMethod = countedMethod;
exports.isIdempotent = isIdempotent;
exports.hasBody = hasBody;
/** Properties of request methods. */
var problem_1 = require("./problem");
function isReading(method) {
    return method === undefined || method === 'GET' || method === 'HEAD';
}
/** The method that counts for a gateway whose route has `methodOverride`. */
function countedMethod(_a) {
    var _b = _a.method, method = _b === void 0 ? 'GET' : _b, header = _a.header;
    var named = method === 'POST' ? (0, problem_1.headerOf)(header, 'x-http-method-override') : undefined;
    return named === undefined ? method : named.trim().toUpperCase();
}
/** Returns true when sending the call twice has the effect of sending it once (RFC 9110,
 *  section 9.2.2). */
function isIdempotent(what) {
    if (what.kind === 'uploadFile')
        return false;
    if (what.kind === 'downloadFile')
        return true;
    var method = what.options.method;
    return isReading(method) || method === 'PUT' || method === 'DELETE' || method === 'OPTIONS' || method === 'TRACE';
}
/** wx puts `data` of a GET into the address. */
function hasBody(what) {
    if (what.kind !== 'request')
        return what.kind === 'uploadFile';
    return what.options.data !== undefined && !isReading(what.options.method);
}
