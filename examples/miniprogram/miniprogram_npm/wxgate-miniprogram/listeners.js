"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.tell = tell;
function tell(listeners, value) {
    for (var _i = 0, _a = listeners.slice(); _i < _a.length; _i++) {
        var listener = _a[_i];
        listener(value);
    }
}
