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
Object.defineProperty(exports, "__esModule", { value: true });
exports.createSessionCalls = createSessionCalls;
exports.isCodeSpent = isCodeSpent;
/** The gateway's endpoints that start, renew, check and end a session. */
var attempt_1 = require("./attempt");
var errors_1 = require("./errors");
var retry_1 = require("./retry");
/** The gateway answers a repeated login or refresh for 10 s: with the grace of the transport
 *  the repeat arrives in time. */
var TIMEOUT_MS = 8000;
function createSessionCalls(options) {
    var base = options.base, appId = options.appId, transport = options.transport, getCode = options.getCode, whenShown = options.whenShown;
    function call(method, path, data, accessToken) {
        return __awaiter(this, void 0, void 0, function () {
            var header, body, _a, result, problem;
            return __generator(this, function (_b) {
                switch (_b.label) {
                    case 0:
                        header = { 'content-type': 'application/json' };
                        body = data ? { data: data } : {};
                        return [4 /*yield*/, transport.send({
                                kind: 'request',
                                options: __assign({ url: base + path, method: method, header: header, timeout: TIMEOUT_MS, redirect: 'manual' }, body)
                            }, { isUrgent: true, authorize: function () { return accessToken !== null && accessToken !== void 0 ? accessToken : null; } })];
                    case 1:
                        _a = _b.sent(), result = _a.result, problem = _a.problem;
                        if (problem)
                            throw problem;
                        if (result.statusCode >= 200 && result.statusCode < 300)
                            return [2 /*return*/, result];
                        throw (0, errors_1.createError)({
                            code: 'invalid_response',
                            status: result.statusCode,
                            detail: "The answer is not the gateway's."
                        });
                }
            });
        });
    }
    /** Repeats once after a lost answer or a Retry-After. The gateway gives the same answer to
     *  the same body. */
    function post(path, data, accessToken) {
        return __awaiter(this, void 0, void 0, function () {
            var once, caught_1, pause;
            var _this = this;
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0:
                        once = function () { return __awaiter(_this, void 0, void 0, function () { return __generator(this, function (_a) {
                            switch (_a.label) {
                                case 0: return [4 /*yield*/, call('POST', path, data, accessToken)];
                                case 1: return [2 /*return*/, (_a.sent()).data];
                            }
                        }); }); };
                        _a.label = 1;
                    case 1:
                        _a.trys.push([1, 3, , 5]);
                        return [4 /*yield*/, once()];
                    case 2: return [2 /*return*/, _a.sent()];
                    case 3:
                        caught_1 = _a.sent();
                        pause = (0, retry_1.pauseBefore)(caught_1, whenShown);
                        if (!pause)
                            throw caught_1;
                        return [4 /*yield*/, pause];
                    case 4:
                        _a.sent();
                        return [2 /*return*/, once()];
                    case 5: return [2 /*return*/];
                }
            });
        });
    }
    function refresh(_a) {
        return __awaiter(this, arguments, void 0, function (_b) {
            var _c;
            var refreshToken = _b.refreshToken, attempt = _b.attempt;
            return __generator(this, function (_d) {
                switch (_d.label) {
                    case 0:
                        _c = toGrant;
                        return [4 /*yield*/, post('/auth/refresh', { refresh_token: refreshToken, attempt: attempt })];
                    case 1: return [2 /*return*/, _c.apply(void 0, [_d.sent()])];
                }
            });
        });
    }
    function logInWith(code) {
        return __awaiter(this, void 0, void 0, function () {
            var app, grant, _a, user;
            return __generator(this, function (_b) {
                switch (_b.label) {
                    case 0:
                        app = appId === '' ? {} : { appid: appId };
                        _a = toGrant;
                        return [4 /*yield*/, post('/auth/login', __assign({ code: code, attempt: (0, attempt_1.createAttempt)() }, app))];
                    case 1:
                        grant = _a.apply(void 0, [_b.sent()]);
                        user = grant.user;
                        if (typeof (user === null || user === void 0 ? void 0 : user.id) !== 'string')
                            throw notAGrant();
                        return [2 /*return*/, __assign(__assign({}, grant), { user: user })];
                }
            });
        });
    }
    return {
        refresh: refresh,
        logIn: function () {
            return __awaiter(this, void 0, void 0, function () {
                var _a, caught_2, _b;
                return __generator(this, function (_c) {
                    switch (_c.label) {
                        case 0:
                            _c.trys.push([0, 3, , 5]);
                            _a = logInWith;
                            return [4 /*yield*/, getCode()];
                        case 1: return [4 /*yield*/, _a.apply(void 0, [_c.sent()])];
                        case 2: return [2 /*return*/, _c.sent()];
                        case 3:
                            caught_2 = _c.sent();
                            if (!isCodeSpent(caught_2))
                                throw caught_2;
                            _b = logInWith;
                            return [4 /*yield*/, getCode()];
                        case 4: return [2 /*return*/, _b.apply(void 0, [_c.sent()])];
                        case 5: return [2 /*return*/];
                    }
                });
            });
        },
        refusalOf: function (_a) {
            return __awaiter(this, arguments, void 0, function (_b) {
                var caught_3, error;
                var accessToken = _b.accessToken;
                return __generator(this, function (_c) {
                    switch (_c.label) {
                        case 0:
                            _c.trys.push([0, 2, , 3]);
                            return [4 /*yield*/, call('GET', '/auth/session', undefined, accessToken)];
                        case 1:
                            _c.sent();
                            return [3 /*break*/, 3];
                        case 2:
                            caught_3 = _c.sent();
                            error = caught_3;
                            if (error.action === 'refresh' || error.action === 'login')
                                return [2 /*return*/, error];
                            return [3 /*break*/, 3];
                        case 3: return [2 /*return*/, null];
                    }
                });
            });
        },
        logOut: function (session, isEverywhere) {
            return __awaiter(this, void 0, void 0, function () {
                var data, caught_4, _a, _b, caught_5;
                return __generator(this, function (_c) {
                    switch (_c.label) {
                        case 0:
                            data = isEverywhere ? { all: true } : {};
                            _c.label = 1;
                        case 1:
                            _c.trys.push([1, 8, , 9]);
                            _c.label = 2;
                        case 2:
                            _c.trys.push([2, 4, , 7]);
                            return [4 /*yield*/, post('/auth/logout', data, session.accessToken)];
                        case 3:
                            _c.sent();
                            return [3 /*break*/, 7];
                        case 4:
                            caught_4 = _c.sent();
                            if (caught_4.action !== 'refresh')
                                throw caught_4;
                            _a = post;
                            _b = ['/auth/logout', data];
                            return [4 /*yield*/, refresh(session)];
                        case 5: return [4 /*yield*/, _a.apply(void 0, _b.concat([(_c.sent()).access_token]))];
                        case 6:
                            _c.sent();
                            return [3 /*break*/, 7];
                        case 7: return [2 /*return*/, true];
                        case 8:
                            caught_5 = _c.sent();
                            // A session that the gateway does not know has ended.
                            return [2 /*return*/, caught_5.action === 'login' && !isEverywhere];
                        case 9: return [2 /*return*/];
                    }
                });
            });
        }
    };
}
/** The code was used by a request whose answer was lost, or is too old. */
function isCodeSpent(_a) {
    var code = _a.code;
    return code === 'code_used' || code === 'code_invalid';
}
function toGrant(data) {
    var grant = (typeof data === 'object' && data !== null ? data : {});
    var access_token = grant.access_token, refresh_token = grant.refresh_token, expires_in = grant.expires_in;
    if (typeof access_token === 'string' && typeof refresh_token === 'string' && typeof expires_in === 'number') {
        return grant;
    }
    throw notAGrant();
}
function notAGrant() {
    return (0, errors_1.createError)({ code: 'invalid_response', status: 200, detail: "The answer is not the gateway's." });
}
