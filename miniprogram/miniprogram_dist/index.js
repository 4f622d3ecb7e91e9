"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createClient = exports.isWxgateError = void 0;
var create_client_1 = require("./create-client");
var errors_1 = require("./errors");
Object.defineProperty(exports, "isWxgateError", { enumerable: true, get: function () { return errors_1.isWxgateError; } });
/** The factory is the only state of the module: WeChat's limits hold for the whole mini-program. */
exports.createClient = (0, create_client_1.createClientFactory)(function () {
    return typeof wx === 'undefined' ? undefined : wx;
});
