"use strict";
// Types of the runtime in our interface: those of `@types/node` or of the DOM if the program has
// them, otherwise a minimum that is always true. So our declarations compile everywhere.
Object.defineProperty(exports, "__esModule", { value: true });
