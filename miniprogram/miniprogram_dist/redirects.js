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
exports.followRedirects = followRedirects;
var method_1 = require("./method");
var problem_1 = require("./problem");
var MAX_REDIRECTS = 5;
function followRedirects(exchange, urls) {
    return {
        perform: function (what, settings, handle) {
            return __awaiter(this, void 0, void 0, function () {
                var auth, _a, isSealed, next, hop, answer, result, location, isFinal, url, isInside, isSameMethod, method, data, header, _method, rest;
                return __generator(this, function (_b) {
                    switch (_b.label) {
                        case 0:
                            if (what.kind !== 'request')
                                return [2 /*return*/, exchange.perform(what, settings, handle)];
                            auth = settings.auth, _a = settings.isSealed, isSealed = _a === void 0 ? false : _a;
                            next = __assign(__assign({}, what.options), { redirect: 'manual' });
                            hop = 0;
                            _b.label = 1;
                        case 1: return [4 /*yield*/, exchange.perform({ kind: 'request', options: next }, __assign(__assign({}, settings), { auth: auth, isSealed: isSealed }), handle)];
                        case 2:
                            answer = _b.sent();
                            result = answer;
                            location = (0, problem_1.headerOf)(result.header, 'location');
                            isFinal = location === undefined || hop >= MAX_REDIRECTS || !isRedirect(result.statusCode);
                            if (isFinal || what.options.redirect === 'manual')
                                return [2 /*return*/, result];
                            url = urls.follow(next.url, location);
                            isInside = urls.isUnderBase(url);
                            isSameMethod = result.statusCode === 307 || result.statusCode === 308;
                            method = isSameMethod || (0, method_1.isReading)(next.method) ? next.method : 'GET';
                            // A body that was written for the gateway stays with the gateway.
                            if (!isInside && !(0, method_1.isReading)(method))
                                return [2 /*return*/, result];
                            if (!isInside) {
                                auth = 'public';
                                isSealed = false;
                            }
                            data = next.data, header = next.header, _method = next.method, rest = __rest(next, ["data", "header", "method"]);
                            next = __assign(__assign(__assign(__assign(__assign({}, rest), { url: url }), (method === undefined ? {} : { method: method })), (isSameMethod && !(0, method_1.isReading)(method) && data !== undefined ? { data: data } : {})), (isInside && header !== undefined ? { header: header } : {}));
                            _b.label = 3;
                        case 3:
                            hop++;
                            return [3 /*break*/, 1];
                        case 4: return [2 /*return*/];
                    }
                });
            });
        }
    };
}
function isRedirect(status) {
    return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}
