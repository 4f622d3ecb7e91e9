"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createStarted = createStarted;
var wx_call_1 = require("./wx-call");
function createStarted() {
    var task;
    var isAborted = false;
    return {
        receive: function (returned, watch) {
            var take = function (value) {
                if (task || !isTask(value))
                    return;
                task = value;
                watch(task);
                if (isAborted)
                    task.abort();
            };
            take(returned);
            // A promise of the result has no task in it.
            if ((0, wx_call_1.isPromise)(returned))
                returned.then(take, function () { });
        },
        abort: function () {
            isAborted = true;
            task === null || task === void 0 ? void 0 : task.abort();
        }
    };
}
function isTask(value) {
    return typeof value === 'object' && value !== null && typeof value.abort === 'function';
}
