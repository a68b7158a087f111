"use strict";
// The runtime's types in our interface: those of `@types/node` or of the DOM if the program has
// them, otherwise what holds for them in any case. So our declarations compile everywhere.
Object.defineProperty(exports, "__esModule", { value: true });
