"use strict";
// Types of the runtime in our interface: those of `@types/node` or of the DOM where the program has them, and where it has none what is true of them in any case. So our
// declarations compile everywhere.
Object.defineProperty(exports, "__esModule", { value: true });
