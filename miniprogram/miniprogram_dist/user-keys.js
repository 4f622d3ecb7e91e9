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
exports.createUserKeys = createUserKeys;
/** Asks wx for the user's key of the encrypted channel, and for random bytes. */
var bytes_1 = require("./bytes");
var errors_1 = require("./errors");
var wx_call_1 = require("./wx-call");
var TIMEOUT_MS = 10000;
/** WeChat makes a new version every hour; the gateway accepts the former one for a while. */
var KEEP_MS = 5 * 60000;
function createUserKeys(wx) {
    var kept = null;
    function crypto() {
        var _a;
        var manager = (_a = wx.getUserCryptoManager) === null || _a === void 0 ? void 0 : _a.call(wx);
        if (!manager)
            throw unavailable('This base library has no encrypted channel. It needs 2.17.3, outside plugins.');
        return manager;
    }
    function ask() {
        return __awaiter(this, void 0, void 0, function () {
            var manager, _a, encryptKey, version, key;
            return __generator(this, function (_b) {
                switch (_b.label) {
                    case 0:
                        manager = crypto();
                        return [4 /*yield*/, (0, wx_call_1.callWx)({
                                name: 'getLatestUserKey',
                                timeoutMs: TIMEOUT_MS,
                                start: function (callbacks) { return manager.getLatestUserKey(callbacks); }
                            }).catch(refuse)];
                    case 1:
                        _a = _b.sent(), encryptKey = _a.encryptKey, version = _a.version;
                        key = (0, bytes_1.fromBase64)(String(encryptKey));
                        if ((key === null || key === void 0 ? void 0 : key.length) !== 16 || typeof version !== 'number')
                            throw unavailable('WeChat gave no valid key.');
                        return [2 /*return*/, { key: key, version: version }];
                }
            });
        });
    }
    return {
        latest: function (isFresh) {
            var now = Date.now();
            if (kept && !isFresh && now >= kept.at && now < kept.at + KEEP_MS)
                return kept.key;
            var own = { at: now, key: ask() };
            kept = own;
            own.key.catch(function () {
                if (kept === own)
                    kept = null;
            });
            return own.key;
        },
        random: function () {
            return __awaiter(this, void 0, void 0, function () {
                var manager, randomValues;
                return __generator(this, function (_a) {
                    switch (_a.label) {
                        case 0:
                            manager = crypto();
                            return [4 /*yield*/, (0, wx_call_1.callWx)({
                                    name: 'getRandomValues',
                                    timeoutMs: TIMEOUT_MS,
                                    start: function (callbacks) { return manager.getRandomValues(__assign({ length: 16 }, callbacks)); }
                                }).catch(refuse)];
                        case 1:
                            randomValues = (_a.sent()).randomValues;
                            if (!(0, bytes_1.isBytes)(randomValues) || randomValues.byteLength !== 16)
                                throw unavailable('wx gave no random bytes.');
                            return [2 /*return*/, new Uint8Array(randomValues)];
                    }
                });
            });
        }
    };
}
function refuse(failure) {
    throw (0, errors_1.createError)({ code: 'channel_unavailable', detail: 'WeChat gave no key.', errMsg: failure.errMsg });
}
function unavailable(detail) {
    return (0, errors_1.createError)({ code: 'channel_unavailable', detail: detail });
}
