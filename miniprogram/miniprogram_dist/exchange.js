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
exports.createExchange = createExchange;
var method_1 = require("./method");
var retry_1 = require("./retry");
var session_calls_1 = require("./session-calls");
function createExchange(_a) {
    var account = _a.account, transport = _a.transport, checkSession = _a.checkSession, whenShown = _a.whenShown;
    function sessionFor(auth, visit) {
        return __awaiter(this, void 0, void 0, function () {
            return __generator(this, function (_a) {
                if (auth === 'public' || (auth === 'optional' && !account.current()))
                    return [2 /*return*/, null];
                return [2 /*return*/, account.ensure(visit)];
            });
        });
    }
    /** Looks for a refusal behind a lost connection: the gateway may have refused the token while
     *  the body was being sent. Resolves with the refusal only when a repeat cannot carry out the
     *  call twice. */
    function refusalBehind(_a, what_1, sent_1) {
        return __awaiter(this, arguments, void 0, function (_b, what, sent) {
            var session, refusal;
            var code = _b.code;
            return __generator(this, function (_c) {
                switch (_c.label) {
                    case 0:
                        session = sent.session;
                        if (!session || code !== 'network' || !(0, method_1.hasBody)(what) || sent.isComplete)
                            return [2 /*return*/, null];
                        return [4 /*yield*/, account.refusalOf(session)];
                    case 1:
                        refusal = _c.sent();
                        if (!refusal || (0, method_1.isIdempotent)(what))
                            return [2 /*return*/, refusal
                                // The token may have expired after the gateway had accepted the call.
                            ];
                        // The token may have expired after the gateway had accepted the call.
                        if (Date.now() >= session.expiresAt)
                            return [2 /*return*/, null];
                        return [2 /*return*/, refusal.action === 'refresh' || what.kind === 'uploadFile' ? refusal : null];
                }
            });
        });
    }
    return {
        perform: function (what_1, _a, handle_1) {
            return __awaiter(this, arguments, void 0, function (what, _b, handle) {
                var visit, isRepeatable, isRefreshed, isLoggedIn, isRepeated, _c, sent, error, _d, result, problem, caught_1, session, pause;
                var _e;
                var _f;
                var auth = _b.auth, needsSessionKey = _b.needsSessionKey, _g = _b.isSealed, isSealed = _g === void 0 ? false : _g;
                return __generator(this, function (_h) {
                    switch (_h.label) {
                        case 0:
                            visit = account.visit;
                            isRepeatable = (0, method_1.isIdempotent)(what);
                            isRefreshed = false;
                            isLoggedIn = false;
                            isRepeated = false;
                            _c = needsSessionKey;
                            if (!_c) return [3 /*break*/, 2];
                            return [4 /*yield*/, checkSession()];
                        case 1:
                            _c = !(_h.sent());
                            _h.label = 2;
                        case 2:
                            if (!_c) return [3 /*break*/, 4];
                            // Data encrypted before this login can still be read: the gateway keeps the previous key
                            // for a while.
                            return [4 /*yield*/, account.logInAnew(visit)];
                        case 3:
                            // Data encrypted before this login can still be read: the gateway keeps the previous key
                            // for a while.
                            _h.sent();
                            isLoggedIn = true;
                            _h.label = 4;
                        case 4:
                            _e = {};
                            return [4 /*yield*/, sessionFor(auth, visit)];
                        case 5:
                            sent = (_e.session = _h.sent(), _e.isComplete = false, _e);
                            error = void 0;
                            _h.label = 6;
                        case 6:
                            _h.trys.push([6, 8, , 9]);
                            return [4 /*yield*/, transport.send(what, __assign(__assign({}, sendOptions(sent, account, visit, handle)), { isSealed: isSealed }))];
                        case 7:
                            _d = _h.sent(), result = _d.result, problem = _d.problem;
                            if (!problem)
                                return [2 /*return*/, result];
                            error = problem;
                            return [3 /*break*/, 9];
                        case 8:
                            caught_1 = _h.sent();
                            error = caught_1;
                            return [3 /*break*/, 9];
                        case 9:
                            if (handle === null || handle === void 0 ? void 0 : handle.isAborted)
                                throw error;
                            return [4 /*yield*/, refusalBehind(error, what, sent)];
                        case 10:
                            error = (_f = (_h.sent())) !== null && _f !== void 0 ? _f : error;
                            session = sent.session;
                            if (!(error.code === 'session_key_stale')) return [3 /*break*/, 13];
                            if (!!isLoggedIn) return [3 /*break*/, 12];
                            return [4 /*yield*/, account.logInAnew(visit)
                                // Open data was encrypted with the old key; a request of the channel is sealed again.
                            ];
                        case 11:
                            _h.sent();
                            _h.label = 12;
                        case 12:
                            // Open data was encrypted with the old key; a request of the channel is sealed again.
                            if (!isSealed || isLoggedIn)
                                throw error;
                            isLoggedIn = true;
                            return [3 /*break*/, 19];
                        case 13:
                            if (!(session && error.action === 'refresh' && !isRefreshed)) return [3 /*break*/, 15];
                            isRefreshed = true;
                            return [4 /*yield*/, account.replace(session, error, visit)];
                        case 14:
                            _h.sent();
                            return [3 /*break*/, 19];
                        case 15:
                            if (!(session && error.action === 'login' && !(0, session_calls_1.isCodeSpent)(error) && !isLoggedIn)) return [3 /*break*/, 17];
                            isLoggedIn = true;
                            return [4 /*yield*/, account.replace(session, error, visit)];
                        case 16:
                            _h.sent();
                            return [3 /*break*/, 19];
                        case 17:
                            pause = isRepeatable && !isRepeated ? (0, retry_1.pauseBefore)(error, whenShown) : null;
                            if (!pause)
                                throw error;
                            isRepeated = true;
                            return [4 /*yield*/, pause];
                        case 18:
                            _h.sent();
                            _h.label = 19;
                        case 19: return [3 /*break*/, 4];
                        case 20: return [2 /*return*/];
                    }
                });
            });
        }
    };
}
function sendOptions(sent, account, visit, handle) {
    return __assign(__assign({}, (handle ? { handle: handle } : {})), { authorize: function () {
            var _a;
            if (!sent.session)
                return null;
            account.check(visit);
            // The token may have been renewed while the call waited in the queue.
            sent.session = (_a = account.current()) !== null && _a !== void 0 ? _a : sent.session;
            return sent.session.accessToken;
        }, onProgress: function (_a) {
            var progress = _a.progress;
            if (progress >= 100)
                sent.isComplete = true;
        } });
}
