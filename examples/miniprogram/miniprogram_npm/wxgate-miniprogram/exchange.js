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
exports.createExchange = createExchange;
var errors_1 = require("./errors");
var retry_1 = require("./retry");
var session_calls_1 = require("./session-calls");
var MAX_REDIRECTS = 5;
function createExchange(_a) {
    var account = _a.account, transport = _a.transport, runtime = _a.runtime, urls = _a.urls;
    var whenShown = runtime.whenShown;
    function perform(what, options, handle) {
        return __awaiter(this, void 0, void 0, function () {
            var visit, isRepeatable, isRefreshed, isLoggedIn, isRepeated, _a, _loop_1, state_1;
            return __generator(this, function (_b) {
                switch (_b.label) {
                    case 0:
                        visit = account.visit;
                        isRepeatable = isIdempotent(what);
                        isRefreshed = false;
                        isLoggedIn = false;
                        isRepeated = false;
                        _a = options.needsSessionKey;
                        if (!_a) return [3 /*break*/, 2];
                        return [4 /*yield*/, runtime.checkSession()];
                    case 1:
                        _a = !(_b.sent());
                        _b.label = 2;
                    case 2:
                        if (!_a) return [3 /*break*/, 4];
                        // What was encrypted before is still read: the gateway keeps the key before the newest one for a while.
                        return [4 /*yield*/, account.logInAnew(visit)];
                    case 3:
                        // What was encrypted before is still read: the gateway keeps the key before the newest one for a while.
                        _b.sent();
                        isLoggedIn = true;
                        _b.label = 4;
                    case 4:
                        _loop_1 = function () {
                            var session, _c, result, problem, caught_1, error, pause;
                            return __generator(this, function (_d) {
                                switch (_d.label) {
                                    case 0: return [4 /*yield*/, sessionFor(options.auth, visit)];
                                    case 1:
                                        session = _d.sent();
                                        _d.label = 2;
                                    case 2:
                                        _d.trys.push([2, 4, , 14]);
                                        return [4 /*yield*/, transport.send(__assign(__assign(__assign({}, what), (handle ? { handle: handle } : {})), { authorize: function () {
                                                    var _a, _b;
                                                    // It may have waited in the queue while the token was renewed.
                                                    if (session && account.visit === visit)
                                                        session = (_a = account.current()) !== null && _a !== void 0 ? _a : session;
                                                    return (_b = session === null || session === void 0 ? void 0 : session.accessToken) !== null && _b !== void 0 ? _b : null;
                                                } }))];
                                    case 3:
                                        _c = _d.sent(), result = _c.result, problem = _c.problem;
                                        if (!problem)
                                            return [2 /*return*/, { value: result }];
                                        throw problem;
                                    case 4:
                                        caught_1 = _d.sent();
                                        error = caught_1;
                                        if (handle === null || handle === void 0 ? void 0 : handle.isAborted)
                                            throw aborted(error);
                                        if (!(error.code === 'session_key_stale')) return [3 /*break*/, 7];
                                        if (!!isLoggedIn) return [3 /*break*/, 6];
                                        return [4 /*yield*/, account.logInAnew(visit)];
                                    case 5:
                                        _d.sent();
                                        _d.label = 6;
                                    case 6: throw error;
                                    case 7:
                                        if (!(session && error.action === 'refresh' && !isRefreshed)) return [3 /*break*/, 9];
                                        isRefreshed = true;
                                        return [4 /*yield*/, account.replace(session, error, visit)];
                                    case 8:
                                        _d.sent();
                                        return [3 /*break*/, 13];
                                    case 9:
                                        if (!(session && error.action === 'login' && !(0, session_calls_1.isCodeSpent)(error) && !isLoggedIn)) return [3 /*break*/, 11];
                                        isLoggedIn = true;
                                        return [4 /*yield*/, account.replace(session, error, visit)];
                                    case 10:
                                        _d.sent();
                                        return [3 /*break*/, 13];
                                    case 11:
                                        pause = isRepeatable && !isRepeated ? (0, retry_1.pauseBefore)(error, whenShown) : null;
                                        if (!pause)
                                            throw error;
                                        isRepeated = true;
                                        return [4 /*yield*/, pause];
                                    case 12:
                                        _d.sent();
                                        _d.label = 13;
                                    case 13: return [3 /*break*/, 14];
                                    case 14: return [2 /*return*/];
                                }
                            });
                        };
                        _b.label = 5;
                    case 5: return [5 /*yield**/, _loop_1()];
                    case 6:
                        state_1 = _b.sent();
                        if (typeof state_1 === "object")
                            return [2 /*return*/, state_1.value];
                        _b.label = 7;
                    case 7: return [3 /*break*/, 5];
                    case 8: return [2 /*return*/];
                }
            });
        });
    }
    function sessionFor(auth, visit) {
        return __awaiter(this, void 0, void 0, function () {
            return __generator(this, function (_a) {
                if (auth === 'public' || (auth === 'optional' && !account.current()))
                    return [2 /*return*/, null];
                return [2 /*return*/, account.ensure(visit)];
            });
        });
    }
    /** wx would take the token along to wherever the answer points; so redirects are followed here. */
    function followRedirects(options, settings, handle) {
        return __awaiter(this, void 0, void 0, function () {
            var next, auth, hop, result, location, url, isInside, isSameMethod, method, data, header, _method, rest;
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0:
                        next = options;
                        auth = settings.auth;
                        hop = 0;
                        _a.label = 1;
                    case 1: return [4 /*yield*/, perform({ kind: 'request', options: next }, __assign(__assign({}, settings), { auth: auth }), handle)];
                    case 2:
                        result = _a.sent();
                        location = (0, errors_1.headerOf)(result.header, 'location');
                        if (location === undefined || hop >= MAX_REDIRECTS || !isRedirect(result.statusCode))
                            return [2 /*return*/, result];
                        url = urls.follow(next.url, location);
                        isInside = urls.isUnderBase(url);
                        isSameMethod = result.statusCode === 307 || result.statusCode === 308;
                        method = isSameMethod || isReading(next.method) ? next.method : 'GET';
                        // What was written for the gateway is for the gateway.
                        if (!isInside && !isReading(method))
                            return [2 /*return*/, result];
                        if (!isInside)
                            auth = 'public';
                        data = next.data, header = next.header, _method = next.method, rest = __rest(next, ["data", "header", "method"]);
                        next = __assign(__assign(__assign(__assign(__assign({}, rest), { url: url }), (method === undefined ? {} : { method: method })), (isSameMethod && !isReading(method) && data !== undefined ? { data: data } : {})), (isInside && header !== undefined ? { header: header } : {}));
                        _a.label = 3;
                    case 3:
                        hop++;
                        return [3 /*break*/, 1];
                    case 4: return [2 /*return*/];
                }
            });
        });
    }
    return {
        perform: function (what, options, handle) {
            if (what.kind !== 'request')
                return perform(what, options, handle);
            var redirect = what.options.redirect;
            var manual = __assign(__assign({}, what.options), { redirect: 'manual' });
            if (redirect === 'manual')
                return perform({ kind: 'request', options: manual }, options, handle);
            return followRedirects(manual, options, handle);
        }
    };
}
function isRedirect(status) {
    return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}
function isReading(method) {
    return method === undefined || method === 'GET' || method === 'HEAD';
}
/** Whether doing it twice is the same as once (RFC 9110, section 9.2.2). */
function isIdempotent(what) {
    if (what.kind === 'uploadFile')
        return false;
    if (what.kind === 'downloadFile')
        return true;
    var method = what.options.method;
    return isReading(method) || method === 'PUT' || method === 'DELETE' || method === 'OPTIONS' || method === 'TRACE';
}
function aborted(error) {
    return error.code === 'aborted' ? error : (0, errors_1.createError)({ code: 'aborted', detail: 'The request was aborted.' });
}
