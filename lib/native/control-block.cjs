"use strict";
// The control block: the memory through which the addon and a worker tell each other about events
// without allocating. The addon makes it; these numbers must be those of crates/wsbroker.
//
// Each event has a slot. `state[slot]` tells the addon how far the event got. If the thread ends,
// events that have not started go to another worker.
Object.defineProperty(exports, "__esModule", { value: true });
