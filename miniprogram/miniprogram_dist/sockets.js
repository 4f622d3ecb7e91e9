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
exports.openSocket = openSocket;
var errors_1 = require("./errors");
var listeners_1 = require("./listeners");
function openSocket(dependencies, options) {
    var account = dependencies.account, exchange = dependencies.exchange, runtime = dependencies.runtime, urls = dependencies.urls;
    var _a = options.auth, auth = _a === void 0 ? 'required' : _a, success = options.success, fail = options.fail, complete = options.complete, settings = __rest(options, ["auth", "success", "fail", "complete"]);
    var visit = account.visit;
    var listeners = createListeners();
    var giveBack = null;
    var task = null;
    var state = 'connecting';
    function finish(close) {
        if (state === 'closed')
            return;
        state = 'closed';
        giveBack === null || giveBack === void 0 ? void 0 : giveBack();
        (0, listeners_1.tell)(listeners.close, close);
    }
    /** WeChat does not say why a handshake failed, a refused token included. */
    function fall(failure) {
        if (state === 'closed')
            return;
        (0, listeners_1.tell)(listeners.error, failure);
        finish({ code: 1006, reason: '' });
    }
    function start() {
        return __awaiter(this, void 0, void 0, function () {
            var url, isAnonymous, session, _a, caught_1, error, result;
            return __generator(this, function (_b) {
                switch (_b.label) {
                    case 0:
                        // Closed at once: a place taken now would never be given back.
                        if (isClosed())
                            return [2 /*return*/];
                        _b.label = 1;
                    case 1:
                        _b.trys.push([1, 5, , 6]);
                        url = urls.resolveSocket(options.url);
                        giveBack = runtime.takeSocket();
                        if (!giveBack)
                            throw (0, errors_1.createError)({ code: 'too_many_sockets', detail: 'WeChat allows five sockets at a time.' });
                        isAnonymous = auth === 'public' || (auth === 'optional' && !account.current());
                        if (!isAnonymous) return [3 /*break*/, 2];
                        _a = null;
                        return [3 /*break*/, 4];
                    case 2: return [4 /*yield*/, account.ensure(visit)];
                    case 3:
                        _a = _b.sent();
                        _b.label = 4;
                    case 4:
                        session = _a;
                        if (isClosed())
                            return [2 /*return*/];
                        dial(url, session, session !== null);
                        return [3 /*break*/, 6];
                    case 5:
                        caught_1 = _b.sent();
                        error = caught_1;
                        fail === null || fail === void 0 ? void 0 : fail(error);
                        complete === null || complete === void 0 ? void 0 : complete(error);
                        fall(error);
                        return [2 /*return*/];
                    case 6:
                        result = { errMsg: 'connectSocket:ok' };
                        success === null || success === void 0 ? void 0 : success(result);
                        complete === null || complete === void 0 ? void 0 : complete(result);
                        return [2 /*return*/];
                }
            });
        });
    }
    /** The compiler does not see that others change the state while we wait. */
    function isClosed() {
        return state === 'closed';
    }
    function dial(url, session, mayRepeat) {
        var isLost = false;
        var lose = function (failure) {
            if (isLost || state === 'closed')
                return;
            isLost = true;
            if (!mayRepeat || !session)
                return fall(failure);
            renewed(session).then(function (next) {
                if (isClosed())
                    return;
                if (next)
                    dial(url, next, false);
                else
                    fall(failure);
            }, function () { return fall(failure); });
        };
        var _url = settings.url, header = settings.header, rest = __rest(settings, ["url", "header"]);
        task = runtime.wx.connectSocket(__assign(__assign({}, rest), { url: url, header: withToken(header, session), fail: lose }));
        task.onOpen(function (result) {
            state = 'open';
            (0, listeners_1.tell)(listeners.open, result);
        });
        task.onMessage(function (message) { return (0, listeners_1.tell)(listeners.message, message); });
        task.onError(function (failure) {
            if (state === 'open')
                (0, listeners_1.tell)(listeners.error, failure);
            else
                lose(failure);
        });
        task.onClose(function (close) {
            if (state === 'open')
                finish(close);
            else
                lose({ errMsg: 'connectSocket:fail closed before it was open' });
        });
    }
    /** Asks the gateway about the session; null when the token was not to blame. */
    function renewed(refused) {
        return __awaiter(this, void 0, void 0, function () {
            var url, present;
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0:
                        url = urls.resolve('/auth/session');
                        return [4 /*yield*/, exchange.perform({ kind: 'request', options: { url: url } }, { auth: 'required', needsSessionKey: false })];
                    case 1:
                        _a.sent();
                        present = account.visit === visit ? account.current() : null;
                        return [2 /*return*/, present && present.accessToken !== refused.accessToken ? present : null];
                }
            });
        });
    }
    // The caller first gets the task, and can add its listeners.
    Promise.resolve().then(start);
    return {
        send: function (message) {
            var _a, _b;
            if (task && state === 'open')
                return task.send(message);
            var failure = { errMsg: 'sendSocketMessage:fail the socket is not open' };
            (_a = message.fail) === null || _a === void 0 ? void 0 : _a.call(message, failure);
            (_b = message.complete) === null || _b === void 0 ? void 0 : _b.call(message, failure);
        },
        close: function (closing) {
            var _a, _b, _c, _d;
            if (closing === void 0) { closing = {}; }
            if (task && state === 'open')
                return task.close(closing);
            task === null || task === void 0 ? void 0 : task.close({});
            finish({ code: (_a = closing.code) !== null && _a !== void 0 ? _a : 1000, reason: (_b = closing.reason) !== null && _b !== void 0 ? _b : '' });
            var result = { errMsg: 'closeSocket:ok' };
            (_c = closing.success) === null || _c === void 0 ? void 0 : _c.call(closing, result);
            (_d = closing.complete) === null || _d === void 0 ? void 0 : _d.call(closing, result);
        },
        onOpen: function (listener) { return void listeners.open.push(listener); },
        onMessage: function (listener) { return void listeners.message.push(listener); },
        onError: function (listener) { return void listeners.error.push(listener); },
        onClose: function (listener) { return void listeners.close.push(listener); }
    };
}
function createListeners() {
    return {
        open: [],
        message: [],
        error: [],
        close: []
    };
}
function withToken(header, session) {
    var _a;
    var own = {};
    for (var name in header)
        if (name.toLowerCase() !== 'authorization')
            own[name] = (_a = header[name]) !== null && _a !== void 0 ? _a : '';
    if (session)
        own.Authorization = "Bearer ".concat(session.accessToken);
    return own;
}
