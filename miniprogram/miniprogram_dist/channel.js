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
var __awaiter = (this && this.__awaiter) || function (thisArg, _arguments, P, generator) {
    function adopt(value) { return value instanceof P ? value : new P(function (resolve) { resolve(value); }); }
    return new (P || (P = Promise))(function (resolve, reject) {
        function fulfilled(value) { try { step(generator.next(value)); } catch (e) { reject(e); } }
        function rejected(value) { try { step(generator["throw"](value)); } catch (e) { reject(e); } }
        function step(result) { result.done ? resolve(result.value) : adopt(result.value).then(fulfilled, rejected); }
        step((generator = generator.apply(thisArg, _arguments || [])).next());
    });
};
var __generator = (this && this.__generator) || function (thisArg, body) {
    var _ = { label: 0, sent: function() { if (t[0] & 1) throw t[1]; return t[1]; }, trys: [], ops: [] }, f, y, t, g = Object.create((typeof Iterator === "function" ? Iterator : Object).prototype);
    return g.next = verb(0), g["throw"] = verb(1), g["return"] = verb(2), typeof Symbol === "function" && (g[Symbol.iterator] = function() { return this; }), g;
    function verb(n) { return function (v) { return step([n, v]); }; }
    function step(op) {
        if (f) throw new TypeError("Generator is already executing.");
        while (g && (g = 0, op[0] && (_ = 0)), _) try {
            if (f = 1, y && (t = op[0] & 2 ? y["return"] : op[0] ? y["throw"] || ((t = y["return"]) && t.call(y), 0) : y.next) && !(t = t.call(y, op[1])).done) return t;
            if (y = 0, t) op = [op[0] & 2, t.value];
            switch (op[0]) {
                case 0: case 1: t = op; break;
                case 4: _.label++; return { value: op[1], done: false };
                case 5: _.label++; y = op[1]; op = [0]; continue;
                case 7: op = _.ops.pop(); _.trys.pop(); continue;
                default:
                    if (!(t = _.trys, t = t.length > 0 && t[t.length - 1]) && (op[0] === 6 || op[0] === 2)) { _ = 0; continue; }
                    if (op[0] === 3 && (!t || (op[1] > t[0] && op[1] < t[3]))) { _.label = op[1]; break; }
                    if (op[0] === 6 && _.label < t[1]) { _.label = t[1]; t = op; break; }
                    if (t && _.label < t[2]) { _.label = t[2]; _.ops.push(op); break; }
                    if (t[2]) _.ops.pop();
                    _.trys.pop(); continue;
            }
            op = body.call(thisArg, _);
        } catch (e) { op = [6, e]; y = 0; } finally { f = t = 0; }
        if (op[0] & 5) throw op[1]; return { value: op[0] ? op[1] : void 0, done: true };
    }
};
var __rest = (this && this.__rest) || function (s, e) {
    var t = {};
    for (var p in s) if (Object.prototype.hasOwnProperty.call(s, p) && e.indexOf(p) < 0)
        t[p] = s[p];
    if (s != null && typeof Object.getOwnPropertySymbols === "function")
        for (var i = 0, p = Object.getOwnPropertySymbols(s); i < p.length; i++) {
            if (e.indexOf(p[i]) < 0 && Object.prototype.propertyIsEnumerable.call(s, p[i]))
                t[p[i]] = s[p[i]];
        }
    return t;
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.withChannel = withChannel;
/** Sends requests for routes with `channel: true`: seals each try, and opens the answer. */
var bytes_1 = require("./bytes");
var channel_format_1 = require("./channel-format");
var errors_1 = require("./errors");
var method_1 = require("./method");
var problem_1 = require("./problem");
var HEADER = 'Wxgate-Channel';
var FORM_TYPE = /^application\/x-www-form-urlencoded\b/i;
/** Passes everything on but requests with `isSealed`. */
function withChannel(_a) {
    var transport = _a.transport, wx = _a.wx, keys = _a.keys, base = _a.base, appId = _a.appId, userId = _a.userId;
    /** The gateway's clock minus the phone's, in milliseconds. */
    var offset = 0;
    function seal(given, isFresh) {
        return __awaiter(this, void 0, void 0, function () {
            var _a, key, version, nonce, _b, url, content, app, place, time, sealed, _data, header, rest, options;
            var _c;
            var _d, _e, _f;
            return __generator(this, function (_g) {
                switch (_g.label) {
                    case 0: return [4 /*yield*/, keys.latest(isFresh)];
                    case 1:
                        _a = _g.sent(), key = _a.key, version = _a.version;
                        return [4 /*yield*/, keys.random()];
                    case 2:
                        nonce = _g.sent();
                        _b = describe(given), url = _b.url, content = _b.content;
                        app = appId || ((_e = (_d = wx.getAccountInfoSync) === null || _d === void 0 ? void 0 : _d.call(wx).miniProgram.appId) !== null && _e !== void 0 ? _e : '');
                        place = [(0, method_1.countedMethod)(given), url.slice(base.length) || '/', app, userId()];
                        time = Date.now() + offset;
                        sealed = (0, channel_format_1.sealMessage)({ direction: 'request', key: key, version: version, time: time, nonce: nonce, place: place }, content);
                        _data = given.data, header = given.header, rest = __rest(given, ["data", "header"]);
                        options = __assign(__assign(__assign({}, rest), { url: url, header: withHeaders(header, (_c = {}, _c[HEADER] = sealed.header, _c['content-type'] = 'application/octet-stream', _c)), dataType: 'other', responseType: 'arraybuffer', enableChunked: false }), (content ? { data: toBuffer(sealed.body) } : {}));
                        return [2 /*return*/, { options: options, key: key, nonce: (_f = sealed.header.split('.')[3]) !== null && _f !== void 0 ? _f : '' }];
                }
            });
        });
    }
    function sendSealed(given, options) {
        return __awaiter(this, void 0, void 0, function () {
            var isFresh, sealed, answer, result, problem, now;
            var _a;
            return __generator(this, function (_b) {
                switch (_b.label) {
                    case 0:
                        isFresh = false;
                        _b.label = 1;
                    case 1: return [4 /*yield*/, seal(given, isFresh)];
                    case 2:
                        sealed = _b.sent();
                        return [4 /*yield*/, transport.send({ kind: 'request', options: sealed.options }, options)];
                    case 3:
                        answer = _b.sent();
                        result = answer.result;
                        problem = answer.problem;
                        if (!problem)
                            return [2 /*return*/, { result: open(result, given, sealed.key, sealed.nonce), problem: problem }
                                // The gateway refused before it forwarded anything: an old key, or a wrong clock.
                            ];
                        // The gateway refused before it forwarded anything: an old key, or a wrong clock.
                        if (problem.code !== 'channel_invalid' || isFresh)
                            return [2 /*return*/, answer];
                        now = Date.parse((_a = (0, problem_1.headerOf)(result.header, 'date')) !== null && _a !== void 0 ? _a : '');
                        if (now > 0)
                            offset = now - Date.now();
                        _b.label = 4;
                    case 4:
                        isFresh = true;
                        return [3 /*break*/, 1];
                    case 5: return [2 /*return*/];
                }
            });
        });
    }
    return {
        send: function (what, options) {
            return options.isSealed && what.kind === 'request' ? sendSealed(what.options, options) : transport.send(what, options);
        }
    };
}
/** The address in its plain form, and the body as wx would send it. */
function describe(_a) {
    var _b;
    var url = _a.url, data = _a.data, header = _a.header, method = _a.method;
    var _c = url.split('#')[0], address = _c === void 0 ? '' : _c;
    if (data === undefined)
        return { url: toPlainForm(address), content: null };
    if ((0, method_1.isReading)(method)) {
        var query = typeof data === 'string' ? data : (0, bytes_1.isBytes)(data) ? '' : toForm(data);
        var mark = address.indexOf('?') < 0 ? '?' : '&';
        return { url: toPlainForm(query === '' ? address : address + mark + query), content: null };
    }
    var type = (_b = (0, problem_1.headerOf)(header, 'content-type')) !== null && _b !== void 0 ? _b : 'application/json';
    return { url: toPlainForm(address), content: { type: type, body: toBytes(data, type) } };
}
function toBytes(data, type) {
    if ((0, bytes_1.isBytes)(data))
        return new Uint8Array(data);
    if (typeof data === 'string')
        return (0, bytes_1.fromText)(data);
    return (0, bytes_1.fromText)(FORM_TYPE.test(type) ? toForm(data) : JSON.stringify(data));
}
function toForm(data) {
    var members = data;
    var pairs = Object.keys(members).map(function (name) {
        var value = members[name];
        var text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
        return "".concat(encodeURIComponent(name), "=").concat(encodeURIComponent(text));
    });
    return pairs.join('&');
}
/** Escapes as in RFC 3986, section 6.2.2: the gateway computes the MAC over this form. */
function toPlainForm(url) {
    return url
        .replace(/(?:[\ud800-\udbff][\udc00-\udfff]|[^\x21-\x7e])+/g, function (text) { return encodeURIComponent(text); })
        .replace(/%[0-9a-f]{2}/gi, function (escaped) {
        var character = String.fromCharCode(parseInt(escaped.slice(1), 16));
        return /[\w.~-]/.test(character) ? character : escaped.toUpperCase();
    });
}
function open(result, asked, key, nonce) {
    var _a;
    var statusCode = result.statusCode, header = result.header, data = result.data;
    var body = (0, bytes_1.isBytes)(data) ? new Uint8Array(data) : new Uint8Array(0);
    var sealed = { header: (_a = (0, problem_1.headerOf)(header, HEADER.toLowerCase())) !== null && _a !== void 0 ? _a : '', body: body };
    var content = (0, channel_format_1.openMessage)('response', key, [String(statusCode), nonce], sealed);
    if (content === false)
        throw notSealed(statusCode);
    var bytes = content ? content.body : new Uint8Array(0);
    var own = withHeaders(header, (content === null || content === void 0 ? void 0 : content.type) ? { 'content-type': content.type } : {});
    return __assign(__assign({}, result), { header: own, data: toData(bytes, asked) });
}
/** The data as wx gives it for these options. */
function toData(bytes, _a) {
    var _b = _a.dataType, dataType = _b === void 0 ? 'json' : _b, responseType = _a.responseType;
    if (responseType === 'arraybuffer')
        return toBuffer(bytes);
    var text = (0, bytes_1.toText)(bytes);
    if (dataType !== 'json')
        return text;
    try {
        return JSON.parse(text);
    }
    catch (_error) {
        return text;
    }
}
/** A buffer of exactly these bytes. */
function toBuffer(bytes) {
    return new Uint8Array(bytes).buffer;
}
/** Replaces headers in any spelling, and the type of the sealed body. */
function withHeaders(header, own) {
    var _a, _b;
    var headers = {};
    var isReplaced = function (name) { return name === HEADER.toLowerCase() || name === 'content-type'; };
    for (var name in header)
        if (!isReplaced(name.toLowerCase()))
            headers[name] = (_a = header[name]) !== null && _a !== void 0 ? _a : '';
    for (var name in own)
        headers[name] = (_b = own[name]) !== null && _b !== void 0 ? _b : '';
    return headers;
}
function notSealed(status) {
    return (0, errors_1.createError)({ code: 'invalid_response', status: status, detail: "The answer is not sealed with the user's key." });
}
