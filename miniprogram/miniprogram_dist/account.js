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
exports.createAccount = createAccount;
/** The session of the mini-program's user. Calls that wait for it share one login or refresh. */
var attempt_1 = require("./attempt");
var errors_1 = require("./errors");
/** Tokens are renewed this long before they expire, or a tenth of their life when that is
 *  shorter. */
var EARLY_MS = 60000;
function createAccount(_a) {
    var storage = _a.storage, calls = _a.calls, defer = _a.defer, onToken = _a.onToken;
    var session = storage.read();
    var flight = null;
    var visit = 0;
    var listeners = [];
    function save(next, from) {
        if (from === visit) {
            var _a = next.user, _isNew = _a.is_new, user = __rest(_a, ["is_new"]);
            if (next.accessToken !== (session === null || session === void 0 ? void 0 : session.accessToken))
                onToken(next.accessToken);
            session = __assign(__assign({}, next), { user: user });
            storage.write(session);
        }
        return next;
    }
    function end(code) {
        var ended = session;
        session = null;
        storage.clear();
        if (!ended)
            return;
        var _loop_1 = function (listener) {
            defer(function () { return listener({ code: code, user: ended.user }); });
        };
        for (var _i = 0, listeners_1 = listeners; _i < listeners_1.length; _i++) {
            var listener = listeners_1[_i];
            _loop_1(listener);
        }
    }
    function take(isLogin, start) {
        var own = { isLogin: isLogin, result: start() };
        flight = own;
        var land = function () {
            if (flight === own)
                flight = null;
        };
        own.result.then(land, land);
        return own.result;
    }
    function logIn(from) {
        return __awaiter(this, void 0, void 0, function () {
            var grant;
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0: return [4 /*yield*/, calls.logIn()];
                    case 1:
                        grant = _a.sent();
                        return [2 /*return*/, save(toSession(grant, grant.user), from)];
                }
            });
        });
    }
    function refreshOrLogIn(present, from) {
        return __awaiter(this, void 0, void 0, function () {
            var grant, caught_1, error;
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0:
                        _a.trys.push([0, 2, , 3]);
                        return [4 /*yield*/, calls.refresh(present)];
                    case 1:
                        grant = _a.sent();
                        return [3 /*break*/, 3];
                    case 2:
                        caught_1 = _a.sent();
                        error = caught_1;
                        if (error.action !== 'login' && error.status !== 400)
                            throw error;
                        if (from !== visit)
                            throw loggedOut();
                        end(error.code);
                        return [2 /*return*/, logIn(from)];
                    case 3: return [2 /*return*/, save(toSession(grant, present.user), from)];
                }
            });
        });
    }
    function renew() {
        if (flight)
            return flight.result;
        var present = session;
        var from = visit;
        return present ? take(false, function () { return refreshOrLogIn(present, from); }) : take(true, function () { return logIn(from); });
    }
    function check(from) {
        if (from !== visit)
            throw loggedOut();
    }
    function checked(result, from) {
        return __awaiter(this, void 0, void 0, function () {
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0:
                        _a.trys.push([0, , 2, 3]);
                        return [4 /*yield*/, result];
                    case 1: return [2 /*return*/, _a.sent()];
                    case 2:
                        check(from);
                        return [7 /*endfinally*/];
                    case 3: return [2 /*return*/];
                }
            });
        });
    }
    return {
        get visit() {
            return visit;
        },
        check: check,
        current: function () { return session; },
        ensure: function (from) {
            return __awaiter(this, void 0, void 0, function () {
                var present, now, error_1;
                return __generator(this, function (_a) {
                    switch (_a.label) {
                        case 0:
                            check(from);
                            present = session;
                            now = Date.now();
                            if (present && now >= present.receivedAt && now < present.renewAt)
                                return [2 /*return*/, present];
                            _a.label = 1;
                        case 1:
                            _a.trys.push([1, 3, , 4]);
                            return [4 /*yield*/, checked(renew(), from)];
                        case 2: return [2 /*return*/, _a.sent()];
                        case 3:
                            error_1 = _a.sent();
                            // The token could not be renewed early, and is still valid.
                            if (present && session === present && now >= present.receivedAt && now < present.expiresAt)
                                return [2 /*return*/, present];
                            throw error_1;
                        case 4: return [2 /*return*/];
                    }
                });
            });
        },
        replace: function (refused, error, from) {
            return __awaiter(this, void 0, void 0, function () {
                return __generator(this, function (_a) {
                    check(from);
                    if (session && session.accessToken !== refused.accessToken)
                        return [2 /*return*/, session];
                    if (error.action === 'login' && !flight)
                        end(error.code);
                    return [2 /*return*/, checked(renew(), from)];
                });
            });
        },
        logInAnew: function (from) {
            return __awaiter(this, void 0, void 0, function () {
                var present;
                return __generator(this, function (_a) {
                    switch (_a.label) {
                        case 0:
                            check(from);
                            present = flight;
                            if (present === null || present === void 0 ? void 0 : present.isLogin)
                                return [2 /*return*/, checked(present.result, from)
                                    // A refresh that ends later would replace the session of this login.
                                ];
                            if (!present) return [3 /*break*/, 2];
                            return [4 /*yield*/, settled(present.result)];
                        case 1:
                            _a.sent();
                            _a.label = 2;
                        case 2:
                            check(from);
                            if (flight === null || flight === void 0 ? void 0 : flight.isLogin)
                                return [2 /*return*/, checked(flight.result, from)];
                            return [2 /*return*/, checked(take(true, function () { return logIn(from); }), from)];
                    }
                });
            });
        },
        update: function (user) {
            if (session)
                save(__assign(__assign({}, session), { user: __assign(__assign({}, session.user), user) }), visit);
        },
        refusalOf: function (asked) { return calls.refusalOf(asked); },
        logOut: function (isEverywhere) {
            return __awaiter(this, void 0, void 0, function () {
                var ended, pending;
                var _a;
                return __generator(this, function (_b) {
                    switch (_b.label) {
                        case 0:
                            ended = session;
                            pending = flight;
                            visit++;
                            flight = null;
                            end('logout');
                            if (!pending) return [3 /*break*/, 2];
                            return [4 /*yield*/, settled(pending.result)];
                        case 1:
                            ended = (_a = (_b.sent())) !== null && _a !== void 0 ? _a : ended;
                            _b.label = 2;
                        case 2: return [2 /*return*/, ended ? calls.logOut(ended, isEverywhere) : true];
                    }
                });
            });
        },
        onEnd: function (listener) {
            listeners = listeners.concat(listener);
            return function () {
                listeners = listeners.filter(function (other) { return other !== listener; });
            };
        }
    };
}
function toSession(grant, user) {
    var receivedAt = Date.now();
    var life = grant.expires_in * 1000;
    return {
        accessToken: grant.access_token,
        refreshToken: grant.refresh_token,
        attempt: (0, attempt_1.createAttempt)(),
        receivedAt: receivedAt,
        renewAt: receivedAt + life - Math.min(EARLY_MS, life / 10),
        expiresAt: receivedAt + life,
        user: user
    };
}
function loggedOut() {
    return (0, errors_1.createError)({ code: 'logged_out', detail: 'The user was logged out while the call waited.' });
}
function settled(promise) {
    return promise.then(function (value) { return value; }, function () { return null; });
}
