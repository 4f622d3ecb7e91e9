"use strict";
/** Types of the part of WeChat's `wx` that the client uses. */
Object.defineProperty(exports, "__esModule", { value: true });
