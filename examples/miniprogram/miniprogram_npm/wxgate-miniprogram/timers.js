"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.after = after;
exports.wait = wait;
function after(milliseconds, callback) {
    setTimeout(callback, milliseconds);
}
function wait(milliseconds) {
    return new Promise(function (resolve) { return after(milliseconds, resolve); });
}
