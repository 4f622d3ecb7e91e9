"use strict";
/** One WebSocket handshake, and the events of the socket that it opens. */
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
Object.defineProperty(exports, "__esModule", { value: true });
exports.startHandshake = startHandshake;
var timers_1 = require("./timers");
var wx_call_1 = require("./wx-call");
/** The timeout of wx.connectSocket when the call sets none. */
var TIMEOUT_MS = 60000;
/** Returns the function that gives up the handshake: no event follows. */
function startHandshake(wx, options, events) {
    var task = null;
    var state = 'connecting';
    var cancelTimer = (0, timers_1.after)((options.timeout || TIMEOUT_MS) + wx_call_1.GRACE_MS, function () {
        return lose({ errMsg: 'connectSocket:fail timeout' });
    });
    function giveUp() {
        if (state !== 'connecting')
            return;
        state = 'over';
        cancelTimer();
        task === null || task === void 0 ? void 0 : task.close({});
    }
    function lose(failure) {
        if (state !== 'connecting')
            return;
        giveUp();
        events.lost(failure);
    }
    function attach(connecting) {
        task = connecting;
        // Taro returns the task later: the handshake may be over before.
        if (state === 'over') {
            connecting.close({});
            return;
        }
        connecting.onOpen(function (result) {
            if (state !== 'connecting')
                return;
            state = 'open';
            cancelTimer();
            events.opened(connecting, result);
        });
        connecting.onMessage(function (message) { return events.message(message); });
        connecting.onError(function (failure) { return (state === 'open' ? events.failed(failure) : lose(failure)); });
        connecting.onClose(function (close) {
            if (state === 'open')
                events.closed(close);
            else
                lose({ errMsg: 'connectSocket:fail closed before it was open' });
        });
    }
    try {
        var returned = wx.connectSocket(__assign(__assign({}, options), { fail: lose }));
        if ((0, wx_call_1.isPromise)(returned))
            returned.then(attach, lose);
        else
            attach(returned);
    }
    catch (error) {
        lose({ errMsg: "connectSocket:fail ".concat(String(error)) });
    }
    return giveUp;
}
