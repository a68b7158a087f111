// A world (see world.mjs) of stand-ins in which everything that travels arrives later, as on a network: what holds here does not lean on answers that come at once.
import { fakeWorld } from './fake-world.mjs';

export const world = (t, options) => fakeWorld(t, options, setImmediate);
