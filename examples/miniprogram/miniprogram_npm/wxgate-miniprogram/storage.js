"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createStorage = createStorage;
var VERSION = 1;
/** A storage that fails (full, or damaged) costs a login at the next start, and nothing else. */
function createStorage(_a) {
    var wx = _a.wx, key = _a.key, base = _a.base, appId = _a.appId;
    return {
        read: function () {
            try {
                var stored = wx.getStorageSync(key);
                if ((stored === null || stored === void 0 ? void 0 : stored.version) !== VERSION || stored.base !== base || stored.appId !== appId)
                    return null;
                return isSession(stored.session) ? stored.session : null;
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
                // The session lives on in memory.
            }
        },
        clear: function () {
            try {
                wx.removeStorageSync(key);
            }
            catch (_error) {
                // What cannot be removed can at least be emptied.
                try {
                    wx.setStorageSync(key, '');
                }
                catch (_error) {
                    // Nothing more can be done here; the gateway ends the session.
                }
            }
        }
    };
}
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
/** What may stand in a header. */
function isText(value) {
    return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value);
}
