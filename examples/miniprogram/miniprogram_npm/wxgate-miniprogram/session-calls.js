"use strict";
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
/** The gateway's endpoints that begin, renew and end a session, and how often each may be tried. */
var errors_1 = require("./errors");
var retry_1 = require("./retry");
/** Milliseconds. The gateway answers a refresh, and a login code, a second time within 10 s: a repeat has to arrive in that
 *  time. */
var TIMEOUT = 8000;
function createSessionCalls(options) {
    var base = options.base, appId = options.appId, transport = options.transport, getCode = options.getCode, whenShown = options.whenShown;
    function post(path, data, accessToken) {
        return __awaiter(this, void 0, void 0, function () {
            var header, _a, result, problem;
            return __generator(this, function (_b) {
                switch (_b.label) {
                    case 0:
                        header = { 'content-type': 'application/json' };
                        return [4 /*yield*/, transport.send({
                                kind: 'request',
                                options: { url: base + path, method: 'POST', data: data, header: header, timeout: TIMEOUT, redirect: 'manual' },
                                isUrgent: true,
                                authorize: function () { return accessToken !== null && accessToken !== void 0 ? accessToken : null; }
                            })];
                    case 1:
                        _a = _b.sent(), result = _a.result, problem = _a.problem;
                        if (problem)
                            throw problem;
                        if (result.statusCode >= 200 && result.statusCode < 300)
                            return [2 /*return*/, result.data];
                        throw (0, errors_1.createError)({ code: 'invalid_response', status: result.statusCode, detail: 'This was not the gateway.' });
                }
            });
        });
    }
    /** Once more when the answer was lost or the gateway asks for patience. Both are safe here: the gateway gives the same
     *  answer to the same question. */
    function postPatiently(path, data, accessToken) {
        return __awaiter(this, void 0, void 0, function () {
            var caught_1, pause;
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0:
                        _a.trys.push([0, 2, , 4]);
                        return [4 /*yield*/, post(path, data, accessToken)];
                    case 1: return [2 /*return*/, _a.sent()];
                    case 2:
                        caught_1 = _a.sent();
                        pause = (0, retry_1.pauseBefore)(caught_1, whenShown);
                        if (!pause)
                            throw caught_1;
                        return [4 /*yield*/, pause];
                    case 3:
                        _a.sent();
                        return [2 /*return*/, post(path, data, accessToken)];
                    case 4: return [2 /*return*/];
                }
            });
        });
    }
    function refresh(refreshToken) {
        return __awaiter(this, void 0, void 0, function () {
            var _a;
            return __generator(this, function (_b) {
                switch (_b.label) {
                    case 0:
                        _a = toGrant;
                        return [4 /*yield*/, postPatiently('/auth/refresh', { refresh_token: refreshToken })];
                    case 1: return [2 /*return*/, _a.apply(void 0, [_b.sent()])];
                }
            });
        });
    }
    return {
        refresh: refresh,
        logIn: function () {
            return __awaiter(this, void 0, void 0, function () {
                var logInWith, _a, caught_2, _b;
                var _this = this;
                return __generator(this, function (_c) {
                    switch (_c.label) {
                        case 0:
                            logInWith = function (code) { return __awaiter(_this, void 0, void 0, function () {
                                var grant, _a;
                                var _b;
                                return __generator(this, function (_c) {
                                    switch (_c.label) {
                                        case 0:
                                            _a = toGrant;
                                            return [4 /*yield*/, postPatiently('/auth/login', appId === '' ? { code: code } : { code: code, appid: appId })];
                                        case 1:
                                            grant = _a.apply(void 0, [_c.sent()]);
                                            if (typeof ((_b = grant.user) === null || _b === void 0 ? void 0 : _b.id) !== 'string')
                                                throw notAGrant();
                                            return [2 /*return*/, grant];
                                    }
                                });
                            }); };
                            _c.label = 1;
                        case 1:
                            _c.trys.push([1, 4, , 6]);
                            _a = logInWith;
                            return [4 /*yield*/, getCode()];
                        case 2: return [4 /*yield*/, _a.apply(void 0, [_c.sent()])];
                        case 3: return [2 /*return*/, _c.sent()];
                        case 4:
                            caught_2 = _c.sent();
                            if (!isCodeSpent(caught_2))
                                throw caught_2;
                            _b = logInWith;
                            return [4 /*yield*/, getCode()];
                        case 5: return [2 /*return*/, _b.apply(void 0, [_c.sent()])];
                        case 6: return [2 /*return*/];
                    }
                });
            });
        },
        logOut: function (accessToken, refreshToken, all) {
            return __awaiter(this, void 0, void 0, function () {
                var data, caught_3, _a, _b, caught_4;
                return __generator(this, function (_c) {
                    switch (_c.label) {
                        case 0:
                            data = all ? { all: true } : {};
                            _c.label = 1;
                        case 1:
                            _c.trys.push([1, 8, , 9]);
                            _c.label = 2;
                        case 2:
                            _c.trys.push([2, 4, , 7]);
                            return [4 /*yield*/, postPatiently('/auth/logout', data, accessToken)];
                        case 3:
                            _c.sent();
                            return [3 /*break*/, 7];
                        case 4:
                            caught_3 = _c.sent();
                            if (caught_3.action !== 'refresh')
                                throw caught_3;
                            _a = post;
                            _b = ['/auth/logout', data];
                            return [4 /*yield*/, refresh(refreshToken)];
                        case 5: return [4 /*yield*/, _a.apply(void 0, _b.concat([(_c.sent()).access_token]))];
                        case 6:
                            _c.sent();
                            return [3 /*break*/, 7];
                        case 7: return [2 /*return*/, true];
                        case 8:
                            caught_4 = _c.sent();
                            // A session that the gateway does not know any more has ended.
                            return [2 /*return*/, caught_4.action === 'login' && !all];
                        case 9: return [2 /*return*/];
                    }
                });
            });
        }
    };
}
/** The code was used, by a request of ours whose answer was lost, or took too long on the way. */
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
    return (0, errors_1.createError)({ code: 'invalid_response', status: 200, detail: 'This was not the gateway.' });
}
