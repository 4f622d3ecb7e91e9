"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.isWxgateError = exports.createClient = void 0;
var client_1 = require("./client");
Object.defineProperty(exports, "createClient", { enumerable: true, get: function () { return client_1.createClient; } });
var errors_1 = require("./errors");
Object.defineProperty(exports, "isWxgateError", { enumerable: true, get: function () { return errors_1.isWxgateError; } });
