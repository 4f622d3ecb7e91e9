"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.isReading = isReading;
exports.isIdempotent = isIdempotent;
exports.hasBody = hasBody;
function isReading(method) {
    return method === undefined || method === 'GET' || method === 'HEAD';
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
