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
Object.defineProperty(exports, "__esModule", { value: true });
exports.createStorage = createStorage;
/** Keeps the session in wx's storage, so that it survives the end of the mini-program. */
var attempt_1 = require("./attempt");
var VERSION = 1;
/** A full or damaged storage costs a login at the next start, nothing else. */
function createStorage(_a) {
    var wx = _a.wx, key = _a.key, base = _a.base, appId = _a.appId;
    return {
        read: function () {
            try {
                var stored = wx.getStorageSync(key);
                if ((stored === null || stored === void 0 ? void 0 : stored.version) !== VERSION || stored.base !== base || stored.appId !== appId)
                    return null;
                return isSession(stored.session) ? __assign({ attempt: (0, attempt_1.createAttempt)() }, stored.session) : null;
            }
            catch (_error) {
                return null;
            }
        },
        write: function (session) {
            try {
                wx.setStorageSync(key, { version: VERSION, base: base, appId: appId, session: session });
            }
            catch (_error) {
                // The session continues in memory.
            }
        },
        clear: function () {
            try {
                wx.removeStorageSync(key);
            }
            catch (_error) {
                try {
                    wx.setStorageSync(key, '');
                }
                catch (_error) {
                    // The gateway still ends the session.
                }
            }
        }
    };
}
/** Sessions stored by version 0.1.0 have no `attempt`. */
function isSession(value) {
    if (typeof value !== 'object' || value === null)
        return false;
    var _a = value, accessToken = _a.accessToken, refreshToken = _a.refreshToken, receivedAt = _a.receivedAt, renewAt = _a.renewAt, expiresAt = _a.expiresAt, user = _a.user;
    return (isText(accessToken) &&
        isText(refreshToken) &&
        typeof receivedAt === 'number' &&
        typeof renewAt === 'number' &&
        typeof expiresAt === 'number' &&
        typeof user === 'object' &&
        user !== null &&
        typeof user.id === 'string');
}
/** Accepts text that a header can carry. */
function isText(value) {
    return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}
