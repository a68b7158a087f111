// Where the rules are tried: a helper with all that surrounds it, and clients. Rules that hold on every transport ask only for what is here, and wait with `idle`;
// a world on real sockets offers the same.
//
//   world.helper, world.log, world.redis            the helper; its log; a FakeRedis
//   world.connect({ id })                           a client that is open, with the events of its socket gone through the handler
//   world.member(data, { id })                      one that is authenticated, with `connected` taken
//   world.remote(envelope, channel?)                a message from Redis
//   world.idle()                                    all that was done has had its effect: on clients, on functions of the application
//   client.send(what), client.frame(bytes), client.close(code, reason)
//   client.take()                                   the messages that came since the last time, parsed
//   client.ended                                    { code, reason } when it is closed
//   client.entry                                    its entry in the helper
//
// WSB_WORLD names a module that exports `world`; without it there are stand-ins. `rule` is a test that holds in every world (late-world.mjs is a second one), `onFakes` one that looks behind the stand-ins.
import path from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { fakeWorld } from './fake-world.mjs';

export * from './kit.mjs';

const named = process.env.WSB_WORLD;
export const world = named ? (await import(pathToFileURL(path.resolve(named)).href)).world : fakeWorld;
export const rule = test;
export const onFakes = named ? (name, fn) => test(name, { skip: 'on stand-ins only' }, fn) : test;
