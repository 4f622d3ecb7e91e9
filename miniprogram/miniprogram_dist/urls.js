"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createUrls = createUrls;
/** Checks addresses: the token is sent to `baseUrl` and nowhere else. Mini-programs have no URL
 *  class, so only addresses that every reader parses alike are accepted. */
var errors_1 = require("./errors");
/** Scheme, host and port, path; no user, query or fragment. */
var BASE = /^(https?:\/\/[a-z0-9.-]+(?::\d+)?|https?:\/\/\[[0-9a-f:.]+\](?::\d+)?)((?:\/[^?#\\\s]*)?)$/i;
var SCHEME = /^[a-z][a-z0-9+.-]*:/i;
var DOT_SEGMENT = /(?:^|[/\\])(?:\.|%2e){1,2}(?:[/\\]|$)/i;
/** Some readers drop tabs and line ends, and turn a backslash into a slash. */
var ODD = /[\t\n\r\\]/;
function createUrls(baseUrl) {
    var _a, _b;
    var parts = BASE.exec(baseUrl);
    var origin = (_a = parts === null || parts === void 0 ? void 0 : parts[1]) === null || _a === void 0 ? void 0 : _a.toLowerCase();
    var path = (_b = parts === null || parts === void 0 ? void 0 : parts[2]) === null || _b === void 0 ? void 0 : _b.replace(/\/+$/, '');
    if (origin === undefined || path === undefined || DOT_SEGMENT.test(path)) {
        throw (0, errors_1.createError)({ code: 'invalid_url', detail: 'baseUrl must look like https://gateway.example.com.' });
    }
    var base = origin + path;
    function isUnderBase(url) {
        var _a, _b, _c;
        if (ODD.test(url))
            return false;
        var authority = (_b = (_a = /^[a-z]+:\/\/[^/?#]*/i.exec(url)) === null || _a === void 0 ? void 0 : _a[0]) !== null && _b !== void 0 ? _b : '';
        if (authority.toLowerCase() !== origin)
            return false;
        var rest = url.slice(authority.length);
        var pathname = (_c = rest.split(/[?#]/)[0]) !== null && _c !== void 0 ? _c : '';
        if (DOT_SEGMENT.test(pathname))
            return false;
        return pathname === path || pathname.indexOf("".concat(path, "/")) === 0;
    }
    function resolve(url) {
        var isAbsolute = SCHEME.test(url);
        var absolute = isAbsolute ? url : base + (url.charAt(0) === '/' || url.charAt(0) === '?' ? '' : '/') + url;
        var isProtocolRelative = !isAbsolute && url.slice(0, 2) === '//';
        if (isProtocolRelative || !isUnderBase(absolute)) {
            throw (0, errors_1.createError)({ code: 'invalid_url', detail: 'The address is not under baseUrl. Nothing was sent.' });
        }
        return absolute;
    }
    return {
        base: base,
        resolve: resolve,
        resolveSocket: function (url) { return resolve(url.replace(/^ws/i, 'http')).replace(/^http/i, 'ws'); },
        isUnderBase: isUnderBase,
        follow: function (from, location) {
            var _a, _b, _c, _d, _e;
            if (SCHEME.test(location))
                return location;
            var fromOrigin = (_b = (_a = /^[a-z]+:\/\/[^/?#]*/i.exec(from)) === null || _a === void 0 ? void 0 : _a[0]) !== null && _b !== void 0 ? _b : origin;
            if (location.slice(0, 2) === '//')
                return ((_d = (_c = /^[a-z]+:/i.exec(from)) === null || _c === void 0 ? void 0 : _c[0]) !== null && _d !== void 0 ? _d : 'https:') + location;
            if (location.charAt(0) === '/')
                return fromOrigin + location;
            return ((_e = from.split(/[?#]/)[0]) !== null && _e !== void 0 ? _e : from).replace(/[^/]*$/, '') + location;
        }
    };
}
