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
exports.createTransport = createTransport;
exports.withAuthorization = withAuthorization;
/** One wx.request, wx.uploadFile or wx.downloadFile: waits for its place, and reads the
 *  gateway's error from the answer. */
var errors_1 = require("./errors");
var problem_1 = require("./problem");
var started_1 = require("./started");
var timers_1 = require("./timers");
var wx_call_1 = require("./wx-call");
/** For calls without a `timeout`: app.json may set one that the client cannot read. */
var DEFAULT_TIMEOUT_MS = 120000;
var READ_TIMEOUT_MS = 5000;
function createTransport(wx, requests) {
    function start(what, header, callbacks) {
        if (what.kind === 'request')
            return wx.request(__assign(__assign(__assign({}, what.options), { header: header }), callbacks));
        if (what.kind === 'uploadFile')
            return wx.uploadFile(__assign(__assign(__assign({}, what.options), { header: header }), callbacks));
        return wx.downloadFile(__assign(__assign(__assign({}, what.options), { header: header }), callbacks));
    }
    function dispatch(what_1, _a) {
        return __awaiter(this, arguments, void 0, function (what, _b) {
            var header, timeout, chunks, received, started, result;
            var _c;
            var handle = _b.handle, authorize = _b.authorize, onProgress = _b.onProgress;
            return __generator(this, function (_d) {
                switch (_d.label) {
                    case 0:
                        header = withAuthorization(what.options.header, (_c = authorize === null || authorize === void 0 ? void 0 : authorize()) !== null && _c !== void 0 ? _c : null);
                        timeout = what.options.timeout;
                        chunks = [];
                        started = (0, started_1.createStarted)();
                        return [4 /*yield*/, (0, wx_call_1.callWx)({
                                name: what.kind,
                                timeoutMs: timeout ? timeout + wx_call_1.GRACE_MS : DEFAULT_TIMEOUT_MS,
                                start: function (callbacks, extend) {
                                    var returned = start(what, header, callbacks);
                                    handle === null || handle === void 0 ? void 0 : handle.onAbort(started.abort);
                                    started.receive(returned, function (task) {
                                        var _a, _b, _c;
                                        (_a = task.onHeadersReceived) === null || _a === void 0 ? void 0 : _a.call(task, function (head) {
                                            extend();
                                            received = head.header;
                                        });
                                        // With enableChunked a body comes this way only.
                                        (_b = task.onChunkReceived) === null || _b === void 0 ? void 0 : _b.call(task, function (_a) {
                                            var data = _a.data;
                                            extend();
                                            if ((0, problem_1.isProblemType)(received))
                                                chunks.push(data);
                                        });
                                        (_c = task.onProgressUpdate) === null || _c === void 0 ? void 0 : _c.call(task, function (progress) {
                                            extend();
                                            onProgress === null || onProgress === void 0 ? void 0 : onProgress(progress);
                                        });
                                        handle === null || handle === void 0 ? void 0 : handle.watch(task);
                                    });
                                    return returned;
                                },
                                stop: started.abort
                            })];
                    case 1:
                        result = _d.sent();
                        return [2 /*return*/, read(what.kind, result, received, chunks)];
                }
            });
        });
    }
    function read(kind, result, received, chunks) {
        return __awaiter(this, void 0, void 0, function () {
            var _a, _b, header, _c, data, whole, _d, filePath, tempFilePath, body, _e;
            return __generator(this, function (_f) {
                switch (_f.label) {
                    case 0:
                        _a = result, _b = _a.header, header = _b === void 0 ? received !== null && received !== void 0 ? received : {} : _b, _c = _a.data, data = _c === void 0 ? '' : _c;
                        whole = kind === 'request' ? __assign(__assign({}, result), { header: header, data: data }) : result;
                        if (result.statusCode < 400)
                            return [2 /*return*/, { result: whole, problem: null }];
                        _d = result, filePath = _d.filePath, tempFilePath = _d.tempFilePath;
                        if (!(kind === 'downloadFile')) return [3 /*break*/, 2];
                        return [4 /*yield*/, readText(filePath !== null && filePath !== void 0 ? filePath : tempFilePath)];
                    case 1:
                        _e = _f.sent();
                        return [3 /*break*/, 3];
                    case 2:
                        _e = chunks.length > 0 ? join(chunks) : data;
                        _f.label = 3;
                    case 3:
                        body = _e;
                        return [2 /*return*/, { result: whole, problem: (0, problem_1.readProblem)(result.statusCode, body, header) }];
                }
            });
        });
    }
    function readText(filePath) {
        return __awaiter(this, void 0, void 0, function () {
            var files, read;
            var _a;
            return __generator(this, function (_b) {
                files = (_a = wx.getFileSystemManager) === null || _a === void 0 ? void 0 : _a.call(wx);
                if (!files)
                    return [2 /*return*/, ''];
                read = (0, wx_call_1.callWx)({
                    name: 'readFile',
                    timeoutMs: READ_TIMEOUT_MS,
                    start: function (callbacks) { return files.readFile(__assign({ filePath: filePath, encoding: 'utf8' }, callbacks)); }
                });
                return [2 /*return*/, read.then(function (_a) {
                        var data = _a.data;
                        return String(data);
                    }, function () { return ''; })];
            });
        });
    }
    return {
        send: function (what, options) {
            return new Promise(function (resolve, reject) {
                var handle = options.handle;
                var refuse = function (error) { return reject((0, errors_1.isWxgateError)(error) ? error : (0, errors_1.fromWxFailure)(error)); };
                var stop = function () { return refuse((0, errors_1.createError)({ code: 'aborted', detail: 'The call was aborted.' })); };
                handle === null || handle === void 0 ? void 0 : handle.onAbort(function () { return place.leave() && stop(); });
                var place = requests.enter(function (release) {
                    // The next call waits until this answer has taken effect: it may bring a new token.
                    var leave = function () { return void (0, timers_1.after)(0, release); };
                    if (handle === null || handle === void 0 ? void 0 : handle.isAborted) {
                        release();
                        stop();
                    }
                    else {
                        var answer = dispatch(what, options);
                        answer.then(leave, leave);
                        answer.then(resolve, refuse);
                    }
                }, options.isUrgent);
            });
        }
    };
}
function join(chunks) {
    var length = 0;
    for (var _i = 0, chunks_1 = chunks; _i < chunks_1.length; _i++) {
        var chunk = chunks_1[_i];
        length += chunk.byteLength;
    }
    var whole = new Uint8Array(length);
    var offset = 0;
    for (var _a = 0, chunks_2 = chunks; _a < chunks_2.length; _a++) {
        var chunk = chunks_2[_a];
        whole.set(new Uint8Array(chunk), offset);
        offset += chunk.byteLength;
    }
    return whole.buffer;
}
/** Replaces any credential that the caller set, in any spelling. */
function withAuthorization(header, token) {
    var _a;
    var own = {};
    for (var name in header)
        if (name.toLowerCase() !== 'authorization')
            own[name] = (_a = header[name]) !== null && _a !== void 0 ? _a : '';
    if (token !== null)
        own.Authorization = "Bearer ".concat(token);
    return own;
}
