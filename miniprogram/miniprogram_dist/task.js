"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createTask = createTask;
/** A promise that can be aborted and watched, as the tasks of wx can. */
var errors_1 = require("./errors");
var listeners_1 = require("./listeners");
var problem_1 = require("./problem");
/** @param kind Name of the call in errMsg, as wx writes it. */
function createTask(kind, start) {
    var headers = [];
    var chunks = [];
    var progress = [];
    var stop = null;
    var isAborted = false;
    var handle = {
        get isAborted() {
            return isAborted;
        },
        onAbort: function (next) {
            stop = next;
        },
        watch: function (task) {
            var _a, _b, _c;
            var isProblem = false;
            (_a = task.onHeadersReceived) === null || _a === void 0 ? void 0 : _a.call(task, function (result) {
                isProblem = (0, problem_1.isProblemType)(result.header);
                (0, listeners_1.tell)(headers, result);
            });
            (_b = task.onChunkReceived) === null || _b === void 0 ? void 0 : _b.call(task, function (result) {
                if (!isProblem)
                    (0, listeners_1.tell)(chunks, result);
            });
            (_c = task.onProgressUpdate) === null || _c === void 0 ? void 0 : _c.call(task, function (result) { return (0, listeners_1.tell)(progress, result); });
        }
    };
    var reject = function () { };
    var promise = new Promise(function (resolve, refuse) {
        reject = refuse;
        start(handle).then(resolve, refuse);
    });
    var task = promise;
    task.abort = function () {
        isAborted = true;
        stop === null || stop === void 0 ? void 0 : stop();
        reject((0, errors_1.createError)({ code: 'aborted', detail: 'The call was aborted.', errMsg: "".concat(kind, ":fail abort") }));
    };
    task.onHeadersReceived = function (listener) { return void headers.push(listener); };
    task.onChunkReceived = function (listener) { return void chunks.push(listener); };
    task.onProgressUpdate = function (listener) { return void progress.push(listener); };
    return task;
}
