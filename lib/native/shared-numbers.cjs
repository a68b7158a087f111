"use strict";
// Made from crates/wsbroker by scripts/native-types.mjs, which npm run build starts. Do not edit.
Object.defineProperty(exports, "__esModule", { value: true });
