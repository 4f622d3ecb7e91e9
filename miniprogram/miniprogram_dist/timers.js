"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.after = after;
exports.wait = wait;
/** Returns the function that cancels the call. */
function after(milliseconds, callback) {
    var timer = setTimeout(callback, milliseconds);
    return function () { return clearTimeout(timer); };
}
function wait(milliseconds) {
    return new Promise(function (resolve) { return void after(milliseconds, resolve); });
}
