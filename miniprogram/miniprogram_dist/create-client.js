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
var __spreadArray = (this && this.__spreadArray) || function (to, from, pack) {
    if (pack || arguments.length === 2) for (var i = 0, l = from.length, ar; i < l; i++) {
        if (ar || !(i in from)) {
            if (!ar) ar = Array.prototype.slice.call(from, 0, i);
            ar[i] = from[i];
        }
    }
    return to.concat(ar || Array.prototype.slice.call(from));
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.createClientFactory = createClientFactory;
/** Builds clients: wx's own calls with a login behind them, and the gateway's endpoints. */
var account_1 = require("./account");
var channel_1 = require("./channel");
var errors_1 = require("./errors");
var exchange_1 = require("./exchange");
var options_1 = require("./options");
var redirects_1 = require("./redirects");
var runtime_1 = require("./runtime");
var session_calls_1 = require("./session-calls");
var sockets_1 = require("./sockets");
var storage_1 = require("./storage");
var task_1 = require("./task");
var timers_1 = require("./timers");
var transport_1 = require("./transport");
var user_keys_1 = require("./user-keys");
/** Clients of one factory and one `wx` share WeChat's limits, and their session when they have
 *  the same options. */
function createClientFactory(getGlobalWx) {
    var known = [];
    function sharedOf(wx) {
        for (var _i = 0, known_1 = known; _i < known_1.length; _i++) {
            var shared_1 = known_1[_i];
            if (shared_1.runtime.wx === wx)
                return shared_1;
        }
        var runtime = (0, runtime_1.createRuntime)(wx);
        var shared = {
            runtime: runtime,
            transport: (0, transport_1.createTransport)(wx, runtime.requests),
            userKeys: (0, user_keys_1.createUserKeys)(wx),
            accounts: {},
            prefetching: {}
        };
        known.push(shared);
        return shared;
    }
    return function (options) {
        var settings = (0, options_1.readOptions)(options, getGlobalWx());
        return createClient(settings, sharedOf(settings.wx));
    };
}
function createClient(settings, shared) {
    var _this = this;
    var urls = settings.urls;
    var runtime = shared.runtime, transport = shared.transport;
    var account = accountOf(settings, shared);
    var checkSession = runtime.checkSession, whenShown = runtime.whenShown;
    var channel = (0, channel_1.withChannel)({
        transport: transport,
        wx: runtime.wx,
        keys: shared.userKeys,
        base: urls.base,
        appId: settings.appId,
        userId: function () { var _a, _b; return (_b = (_a = account.current()) === null || _a === void 0 ? void 0 : _a.user.id) !== null && _b !== void 0 ? _b : ''; }
    });
    var exchange = (0, redirects_1.followRedirects)((0, exchange_1.createExchange)({ account: account, transport: channel, checkSession: checkSession, whenShown: whenShown }), urls);
    /** Calls an endpoint of the gateway. */
    function call(path_1, method_1, data_1) {
        return __awaiter(this, arguments, void 0, function (path, method, data, needsSessionKey) {
            var options, answer, result;
            if (needsSessionKey === void 0) { needsSessionKey = false; }
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0:
                        options = __assign({ url: urls.resolve(path), method: method }, (data ? { data: data } : {}));
                        return [4 /*yield*/, exchange.perform({ kind: 'request', options: options }, { auth: 'required', needsSessionKey: needsSessionKey })];
                    case 1:
                        answer = _a.sent();
                        result = answer;
                        if (result.statusCode === 200 && typeof result.data === 'object' && result.data)
                            return [2 /*return*/, result.data];
                        throw (0, errors_1.createError)({
                            code: 'invalid_response',
                            status: result.statusCode,
                            detail: "The answer is not the gateway's."
                        });
                }
            });
        });
    }
    /** @param describe Throws `invalid_url`, which rejects the promise. */
    function start(kind, describe, settings, callbacks) {
        var _this = this;
        var task = (0, task_1.createTask)(kind, function (handle) { return __awaiter(_this, void 0, void 0, function () { return __generator(this, function (_a) {
            return [2 /*return*/, exchange.perform(describe(), settings, handle)];
        }); }); });
        return withCallbacks(task, callbacks);
    }
    /** Makes the address absolute. */
    function at(options) {
        return __assign(__assign({}, options), { url: urls.resolve(options.url) });
    }
    return {
        request: function (given) {
            var success = given.success, fail = given.fail, complete = given.complete, _a = given.auth, auth = _a === void 0 ? 'required' : _a, _b = given.openData, openData = _b === void 0 ? false : _b, _c = given.channel, isSealed = _c === void 0 ? false : _c, options = __rest(given, ["success", "fail", "complete", "auth", "openData", "channel"]);
            var describe = function () { return ({ kind: 'request', options: withMethod(at(options)) }); };
            var callbacks = { success: success, fail: fail, complete: complete };
            return start('request', describe, { auth: isSealed ? 'required' : auth, needsSessionKey: openData, isSealed: isSealed }, callbacks);
        },
        uploadFile: function (given) {
            var success = given.success, fail = given.fail, complete = given.complete, _a = given.auth, auth = _a === void 0 ? 'required' : _a, options = __rest(given, ["success", "fail", "complete", "auth"]);
            var describe = function () { return ({ kind: 'uploadFile', options: at(options) }); };
            return start('uploadFile', describe, { auth: auth, needsSessionKey: false }, { success: success, fail: fail, complete: complete });
        },
        downloadFile: function (given) {
            var success = given.success, fail = given.fail, complete = given.complete, _a = given.auth, auth = _a === void 0 ? 'required' : _a, options = __rest(given, ["success", "fail", "complete", "auth"]);
            var describe = function () { return ({ kind: 'downloadFile', options: at(options) }); };
            return start('downloadFile', describe, { auth: auth, needsSessionKey: false }, { success: success, fail: fail, complete: complete });
        },
        connectSocket: function (given) { return (0, sockets_1.openSocket)({ account: account, runtime: runtime, urls: urls }, given); },
        login: function () {
            return __awaiter(this, arguments, void 0, function (_a) {
                var session;
                var _b = _a === void 0 ? {} : _a, _c = _b.force, force = _c === void 0 ? false : _c;
                return __generator(this, function (_d) {
                    switch (_d.label) {
                        case 0: return [4 /*yield*/, (force ? account.logInAnew(account.visit) : account.ensure(account.visit))];
                        case 1:
                            session = _d.sent();
                            return [2 /*return*/, session.user];
                    }
                });
            });
        },
        logout: function () {
            var args_1 = [];
            for (var _i = 0; _i < arguments.length; _i++) {
                args_1[_i] = arguments[_i];
            }
            return __awaiter(_this, __spreadArray([], args_1, true), void 0, function (_a) {
                var _b;
                var _c = _a === void 0 ? {} : _a, _d = _c.all, all = _d === void 0 ? false : _d;
                return __generator(this, function (_e) {
                    switch (_e.label) {
                        case 0:
                            _b = {};
                            return [4 /*yield*/, account.logOut(all)];
                        case 1: return [2 /*return*/, (_b.ended = _e.sent(), _b)];
                    }
                });
            });
        },
        bindPhone: function (detail) {
            return __awaiter(this, void 0, void 0, function () {
                var _a, code, encryptedData, iv, errMsg, errno, about, bound, _b;
                return __generator(this, function (_c) {
                    switch (_c.label) {
                        case 0:
                            _a = typeof detail === 'string' ? { code: detail } : detail, code = _a.code, encryptedData = _a.encryptedData, iv = _a.iv, errMsg = _a.errMsg, errno = _a.errno;
                            if (!code && !(encryptedData && iv)) {
                                about = __assign(__assign({}, (errMsg === undefined ? {} : { errMsg: errMsg })), (errno === undefined ? {} : { errno: errno }));
                                throw (0, errors_1.createError)(__assign({ code: 'phone_refused', detail: 'getPhoneNumber gave no code.' }, about));
                            }
                            if (!code) return [3 /*break*/, 2];
                            return [4 /*yield*/, call('/auth/phone', 'POST', { code: code })];
                        case 1:
                            _b = _c.sent();
                            return [3 /*break*/, 4];
                        case 2: return [4 /*yield*/, call('/auth/phone', 'POST', { encryptedData: encryptedData, iv: iv }, true)];
                        case 3:
                            _b = _c.sent();
                            _c.label = 4;
                        case 4:
                            bound = _b;
                            account.update(bound.user);
                            return [2 /*return*/, bound];
                    }
                });
            });
        },
        openData: function (data) { return call('/auth/open-data', 'POST', data, true); },
        session: function () {
            return __awaiter(this, arguments, void 0, function (_a) {
                var info;
                var _b = _a === void 0 ? {} : _a, _c = _b.check, check = _c === void 0 ? false : _c;
                return __generator(this, function (_d) {
                    switch (_d.label) {
                        case 0: return [4 /*yield*/, call(check ? '/auth/session?check=true' : '/auth/session', 'GET')];
                        case 1:
                            info = _d.sent();
                            account.update(info.user);
                            return [2 /*return*/, info];
                    }
                });
            });
        },
        currentUser: function () { var _a, _b; return (_b = (_a = account.current()) === null || _a === void 0 ? void 0 : _a.user) !== null && _b !== void 0 ? _b : null; },
        onSessionEnd: function (listener) { return account.onEnd(listener); }
    };
}
function accountOf(settings, _a) {
    var runtime = _a.runtime, transport = _a.transport, accounts = _a.accounts, prefetching = _a.prefetching;
    var urls = settings.urls, appId = settings.appId, storageKey = settings.storageKey, isPrefetching = settings.isPrefetching;
    var base = urls.base;
    var id = JSON.stringify([storageKey, base, appId]);
    if (isPrefetching)
        prefetching[id] = true;
    var known = accounts[id];
    if (known)
        return known;
    var account = (0, account_1.createAccount)({
        storage: (0, storage_1.createStorage)({ wx: runtime.wx, key: storageKey, base: base, appId: appId }),
        calls: (0, session_calls_1.createSessionCalls)({ base: base, appId: appId, transport: transport, getCode: runtime.login, whenShown: runtime.whenShown }),
        defer: function (callback) { return void (0, timers_1.after)(0, callback); },
        onToken: function (accessToken) {
            if (prefetching[id])
                runtime.keepPrefetchToken(accessToken);
        }
    });
    accounts[id] = account;
    return account;
}
/** Accepts a method in any case. */
function withMethod(options) {
    var method = options.method;
    return method === undefined ? options : __assign(__assign({}, options), { method: method.toUpperCase() });
}
/** With callbacks the rejection of the promise counts as handled. */
function withCallbacks(task, _a) {
    var success = _a.success, fail = _a.fail, complete = _a.complete;
    if (success || fail || complete) {
        task.then(function (result) {
            success === null || success === void 0 ? void 0 : success(result);
            complete === null || complete === void 0 ? void 0 : complete(result);
        }, function (error) {
            fail === null || fail === void 0 ? void 0 : fail(error);
            complete === null || complete === void 0 ? void 0 : complete(error);
        });
    }
    return task;
}
