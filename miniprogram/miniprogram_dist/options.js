"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.readOptions = readOptions;
/** Checks the options of createClient. */
var errors_1 = require("./errors");
var urls_1 = require("./urls");
/** The other functions of Wx are optional. */
var REQUIRED = [
    'login',
    'checkSession',
    'request',
    'uploadFile',
    'downloadFile',
    'connectSocket',
    'getStorageSync',
    'setStorageSync',
    'removeStorageSync'
];
/** Throws `invalid_options` or `invalid_url`. */
function readOptions(options, globalWx) {
    var _a = options !== null && options !== void 0 ? options : {}, baseUrl = _a.baseUrl, _b = _a.appid, appId = _b === void 0 ? '' : _b, storageKey = _a.storageKey, _c = _a.prefetch, prefetch = _c === void 0 ? false : _c, _d = _a.wx, wx = _d === void 0 ? globalWx : _d;
    if (typeof baseUrl !== 'string') {
        throw invalid("createClient needs the gateway's address: createClient({ baseUrl: 'https://gateway.example.com' }).");
    }
    var urls = (0, urls_1.createUrls)(baseUrl);
    var key = storageKey !== null && storageKey !== void 0 ? storageKey : "wxgate:".concat(urls.base).concat(appId);
    return { wx: toWx(wx), urls: urls, appId: appId, storageKey: key, isPrefetching: prefetch === true };
}
function toWx(candidate) {
    if (candidate === undefined || candidate === null) {
        throw invalid('There is no global wx. Run createClient in a mini-program, or pass the option wx.');
    }
    var functions = candidate;
    var missing = REQUIRED.filter(function (name) { return typeof functions[name] !== 'function'; });
    if (missing.length > 0)
        throw invalid("wx has no function ".concat(missing.join(', '), "."));
    return candidate;
}
function invalid(detail) {
    return (0, errors_1.createError)({ code: 'invalid_options', detail: detail });
}
