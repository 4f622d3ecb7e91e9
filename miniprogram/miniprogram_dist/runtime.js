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
exports.createRuntime = createRuntime;
/** State that all clients of one mini-program share: WeChat's limits and foreground or
 *  background hold for all of them. */
var errors_1 = require("./errors");
var queue_1 = require("./queue");
var timers_1 = require("./timers");
var wx_call_1 = require("./wx-call");
/** Requests, uploads and downloads together. */
var MAX_REQUESTS = 10;
var MAX_SOCKETS = 5;
/** Calls of wx.login, and of wx.checkSession, per second. The margin allows for clocks that
 *  differ. */
var MAX_LOGINS = 4;
var SECOND_MS = 1100;
var LOGIN_TIMEOUT_MS = 10000;
/** wx.checkSession and wx.setBackgroundFetchToken take no timeout. */
var ANSWER_TIMEOUT_MS = 5000;
function createRuntime(wx) {
    var logins = (0, queue_1.createQueue)(MAX_LOGINS);
    var checks = (0, queue_1.createQueue)(MAX_LOGINS);
    var isHidden = false;
    var shown = [];
    var sockets = 0;
    if (wx.onAppShow && wx.onAppHide) {
        wx.onAppHide(function () {
            isHidden = true;
        });
        wx.onAppShow(function () {
            isHidden = false;
            var waiting = shown;
            shown = [];
            for (var _i = 0, waiting_1 = waiting; _i < waiting_1.length; _i++) {
                var resolve = waiting_1[_i];
                resolve();
            }
        });
    }
    return {
        wx: wx,
        requests: (0, queue_1.createQueue)(MAX_REQUESTS),
        login: function () {
            return __awaiter(this, void 0, void 0, function () {
                var errMsg, result, failure_1;
                return __generator(this, function (_a) {
                    switch (_a.label) {
                        case 0: return [4 /*yield*/, pace(logins)];
                        case 1:
                            _a.sent();
                            _a.label = 2;
                        case 2:
                            _a.trys.push([2, 4, , 5]);
                            return [4 /*yield*/, (0, wx_call_1.callWx)({
                                    name: 'login',
                                    timeoutMs: LOGIN_TIMEOUT_MS + wx_call_1.GRACE_MS,
                                    start: function (callbacks) { return wx.login(__assign({ timeout: LOGIN_TIMEOUT_MS }, callbacks)); }
                                })];
                        case 3:
                            result = _a.sent();
                            if (result.code)
                                return [2 /*return*/, result.code];
                            errMsg = result.errMsg;
                            return [3 /*break*/, 5];
                        case 4:
                            failure_1 = _a.sent();
                            errMsg = failure_1.errMsg;
                            return [3 /*break*/, 5];
                        case 5: throw (0, errors_1.createError)({ code: 'login_failed', detail: 'wx.login gave no code.', errMsg: errMsg });
                    }
                });
            });
        },
        checkSession: function () {
            return __awaiter(this, void 0, void 0, function () {
                var isAnswered, check;
                return __generator(this, function (_a) {
                    switch (_a.label) {
                        case 0: return [4 /*yield*/, pace(checks)];
                        case 1:
                            _a.sent();
                            isAnswered = true;
                            check = (0, wx_call_1.callWx)({
                                name: 'checkSession',
                                timeoutMs: ANSWER_TIMEOUT_MS,
                                start: function (callbacks) { return wx.checkSession(callbacks); },
                                stop: function () {
                                    isAnswered = false;
                                }
                            });
                            // Without an answer the gateway finds out whether its session_key still fits.
                            return [2 /*return*/, check.then(function () { return true; }, function () { return !isAnswered; })];
                    }
                });
            });
        },
        keepPrefetchToken: function (token) {
            (0, wx_call_1.callWx)({
                name: 'setBackgroundFetchToken',
                timeoutMs: ANSWER_TIMEOUT_MS,
                start: function (callbacks) { var _a; return (_a = wx.setBackgroundFetchToken) === null || _a === void 0 ? void 0 : _a.call(wx, __assign({ token: token }, callbacks)); }
            }).then(undefined, function () { });
        },
        whenShown: function () { return (isHidden ? new Promise(function (resolve) { return shown.push(resolve); }) : Promise.resolve()); },
        takeSocket: function () {
            if (sockets >= MAX_SOCKETS)
                return null;
            sockets++;
            var isTaken = true;
            return function () {
                if (isTaken)
                    sockets--;
                isTaken = false;
            };
        }
    };
}
/** Holds a place in the queue for a second, whatever the call does. */
function pace(queue) {
    return new Promise(function (resolve) {
        queue.enter(function (release) {
            (0, timers_1.after)(SECOND_MS, release);
            resolve();
        });
    });
}
