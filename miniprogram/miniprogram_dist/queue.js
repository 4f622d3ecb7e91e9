"use strict";
/** Runs a limited number of jobs at a time; the others wait in order. */
Object.defineProperty(exports, "__esModule", { value: true });
exports.createQueue = createQueue;
function createQueue(limit) {
    var waiting = [];
    var running = 0;
    function startNext() {
        while (running < limit) {
            var start = waiting.shift();
            if (!start)
                return;
            running++;
            start(once(release));
        }
    }
    function release() {
        running--;
        startNext();
    }
    return {
        enter: function (start, isUrgent) {
            if (isUrgent === void 0) { isUrgent = false; }
            if (isUrgent)
                waiting.unshift(start);
            else
                waiting.push(start);
            startNext();
            return {
                leave: function () {
                    var index = waiting.indexOf(start);
                    if (index >= 0)
                        waiting.splice(index, 1);
                    return index >= 0;
                }
            };
        }
    };
}
function once(fn) {
    var isDone = false;
    return function () {
        if (isDone)
            return;
        isDone = true;
        fn();
    };
}
