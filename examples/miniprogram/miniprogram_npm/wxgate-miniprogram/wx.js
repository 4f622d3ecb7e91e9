"use strict";
/** The part of WeChat's `wx` that the client uses, as the base library documents it. */
Object.defineProperty(exports, "__esModule", { value: true });
