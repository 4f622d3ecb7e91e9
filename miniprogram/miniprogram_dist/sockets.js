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
var handshake_1 = require("./handshake");
var listeners_1 = require("./listeners");
var timers_1 = require("./timers");
var transport_1 = require("./transport");
/** Time for wx to report a close that the caller asked for. */
var CLOSE_TIMEOUT_MS = 5000;
function openSocket(dependencies, options) {
    var account = dependencies.account, runtime = dependencies.runtime, urls = dependencies.urls;
    var _a = options.auth, auth = _a === void 0 ? 'required' : _a, success = options.success, fail = options.fail, complete = options.complete, settings = __rest(options, ["auth", "success", "fail", "complete"]);
    var visit = account.visit;
    var listeners = createListeners();
    var giveBack = null;
    var giveUp = null;
    var cancelClose = null;
    var task = null;
    var isClosed = false;
    function finish(close) {
        if (isClosed)
            return;
        isClosed = true;
        giveUp === null || giveUp === void 0 ? void 0 : giveUp();
        cancelClose === null || cancelClose === void 0 ? void 0 : cancelClose();
        giveBack === null || giveBack === void 0 ? void 0 : giveBack();
        (0, listeners_1.tell)(listeners.close, close);
    }
    function fall(failure) {
        if (isClosed)
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
                        // A place taken for a closed socket would never be released.
                        if (isClosed)
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
    function dial(url, session, mayRepeat) {
        var _a;
        if (isClosed)
            return;
        var header = (0, transport_1.withAuthorization)(settings.header, (_a = session === null || session === void 0 ? void 0 : session.accessToken) !== null && _a !== void 0 ? _a : null);
        giveUp = (0, handshake_1.startHandshake)(runtime.wx, __assign(__assign({}, settings), { url: url, header: header }), {
            lost: function (failure) {
                if (!mayRepeat || !session)
                    return fall(failure);
                renewed(session).then(function (next) { return (next ? dial(url, next, false) : fall(failure)); }, function () { return fall(failure); });
            },
            opened: function (opened, result) {
                task = opened;
                (0, listeners_1.tell)(listeners.open, result);
            },
            message: function (message) { return (0, listeners_1.tell)(listeners.message, message); },
            failed: function (failure) { return (0, listeners_1.tell)(listeners.error, failure); },
            closed: finish
        });
    }
    /** WeChat does not report why a handshake failed. Resolves with a new session when the
     *  gateway refuses this one. */
    function renewed(refused) {
        return __awaiter(this, void 0, void 0, function () {
            var refusal;
            return __generator(this, function (_a) {
                switch (_a.label) {
                    case 0: return [4 /*yield*/, account.refusalOf(refused)];
                    case 1:
                        refusal = _a.sent();
                        return [2 /*return*/, refusal ? account.replace(refused, refusal, visit) : null];
                }
            });
        });
    }
    // The caller gets the task first, and can add listeners.
    Promise.resolve().then(start);
    return {
        send: function (message) {
            var _a, _b;
            if (task && !isClosed)
                return task.send(message);
            var failure = { errMsg: 'sendSocketMessage:fail the socket is not open' };
            (_a = message.fail) === null || _a === void 0 ? void 0 : _a.call(message, failure);
            (_b = message.complete) === null || _b === void 0 ? void 0 : _b.call(message, failure);
        },
        close: function (closing) {
            var _a, _b;
            if (closing === void 0) { closing = {}; }
            var _c = closing.code, code = _c === void 0 ? 1000 : _c, _d = closing.reason, reason = _d === void 0 ? '' : _d;
            if (task && !isClosed) {
                cancelClose = (0, timers_1.after)(CLOSE_TIMEOUT_MS, function () { return finish({ code: code, reason: reason }); });
                return task.close(closing);
            }
            finish({ code: code, reason: reason });
            var result = { errMsg: 'closeSocket:ok' };
            (_a = closing.success) === null || _a === void 0 ? void 0 : _a.call(closing, result);
            (_b = closing.complete) === null || _b === void 0 ? void 0 : _b.call(closing, result);
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
