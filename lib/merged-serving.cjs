// Made by scripts/compile.mjs from the modules that it names. Do not edit.
var __create = Object.create;
var __defProp = Object.defineProperty;
var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __getProtoOf = Object.getPrototypeOf;
var __hasOwnProp = Object.prototype.hasOwnProperty;
var __commonJS = (cb, mod) => function __require() {
  try {
    return mod || (0, cb[__getOwnPropNames(cb)[0]])((mod = { exports: {} }).exports, mod), mod.exports;
  } catch (e) {
    throw mod = 0, e;
  }
};
var __copyProps = (to, from, except, desc) => {
  if (from && typeof from === "object" || typeof from === "function") {
    for (let key of __getOwnPropNames(from))
      if (!__hasOwnProp.call(to, key) && key !== except)
        __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
  }
  return to;
};
var __toESM = (mod, isNodeMode, target) => (target = mod != null ? __create(__getProtoOf(mod)) : {}, __copyProps(
  // If the importer is in node compatibility mode or this is not an ESM
  // file that has been converted to a CommonJS file using a Babel-
  // compatible transform (i.e. "__esModule" has not been set), then set
  // "default" to the CommonJS "module.exports" for node compatibility.
  isNodeMode || !mod || !mod.__esModule ? __defProp(target, "default", { value: mod, enumerable: true }) : target,
  mod
));

// fetch-response.cjs
var require_fetch_response = __commonJS({
  "fetch-response.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.isResponse = isResponse;
    function isResponse(value) {
      const { status, headers, arrayBuffer } = Object(value);
      return typeof status === "number" && typeof headers?.get === "function" && typeof arrayBuffer === "function";
    }
  }
});

// merged:async-scope.cjs
var require_async_scope = __commonJS({
  "merged:async-scope.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("async-scope.cjs");
  }
});

// merged:errors.cjs
var require_errors = __commonJS({
  "merged:errors.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("errors.cjs");
  }
});

// merged:options/advice.cjs
var require_advice = __commonJS({
  "merged:options/advice.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("options/advice.cjs");
  }
});

// merged:report.cjs
var require_report = __commonJS({
  "merged:report.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("report.cjs");
  }
});

// merged:native/load.cjs
var require_load = __commonJS({
  "merged:native/load.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("native/load.cjs");
  }
});

// native/join-cluster.cjs
var require_join_cluster = __commonJS({
  "native/join-cluster.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.joinCluster = joinCluster;
    exports2.busEventReporter = busEventReporter;
    exports2.busReady = busReady;
    var node_worker_threads_1 = require("node:worker_threads");
    var async_scope_cjs_1 = require_async_scope();
    var errors_cjs_1 = require_errors();
    var advice_cjs_1 = require_advice();
    var report_cjs_1 = require_report();
    var load_cjs_1 = require_load();
    var lostReason;
    var redisPlace = "";
    function joinCluster({ native: options, onBus }) {
      lostReason = void 0;
      redisPlace = placeOf(options.redis);
      if (!node_worker_threads_1.isMainThread)
        load_cjs_1.native.endWithThread();
      const report = onBus === void 0 ? stderrReporter(redisPlace) : busEventReporter(onBus);
      try {
        load_cjs_1.native.joinCluster(options, (events) => {
          for (const { state, reason } of events) {
            if (state === "ready" || state === "lost")
              lostReason = reason;
          }
          report(events);
        });
      } catch (error) {
        const ours = (0, errors_cjs_1.fromNative)(error);
        const isConflict = ours instanceof errors_cjs_1.WSBrokerError && ours.code === "ERR_WSBROKER_CONFLICT";
        throw isConflict ? (0, advice_cjs_1.withAdvice)(ours, advice_cjs_1.START_OVER) : ours;
      }
    }
    function busEventReporter(onBus) {
      const scoped = onBus === void 0 ? void 0 : (0, async_scope_cjs_1.inScopeHere)(onBus);
      return (events) => {
        if (scoped === void 0)
          return;
        for (const event of events) {
          try {
            const given = Object.entries(event).filter(([, value]) => value !== void 0);
            scoped(Object.fromEntries(given));
          } catch (error) {
            console.error(`wsbroker: onBus threw ${(0, report_cjs_1.errorText)(error)}`);
          }
        }
      };
    }
    function stderrReporter(place) {
      let lost = false;
      return (events) => {
        for (const { state, reason } of events) {
          if (state === "lost") {
            (0, report_cjs_1.reportError)(`the bus is lost (Redis${place}). Reconnecting; pass "onBus" to handle this in your code`, reason);
          } else if (state === "warning")
            (0, report_cjs_1.reportError)(`the bus (Redis${place})`, reason);
          else if (state === "ready" && lost)
            (0, report_cjs_1.reportError)(`the bus (Redis${place})`, "ready again");
          if (state === "lost" || state === "ready")
            lost = state === "lost";
        }
      };
    }
    function placeOf({ url, nodes }) {
      if (url === void 0)
        return ` at ${nodes.map(({ host: host2, port }) => `${host2}:${port}`).join(", ")}`;
      const host = /^rediss?:\/\/(?:[^/]*@)?([^/?#@]+)/.exec(url)?.[1];
      return host === void 0 ? "" : ` at ${host}`;
    }
    async function busReady(timeout) {
      let timer;
      const late = new Promise((resolve) => timer = setTimeout(resolve, timeout, false));
      const ready = await Promise.race([load_cjs_1.native.clusterReady(), late]);
      clearTimeout(timer);
      if (ready)
        return;
      const why = lostReason === void 0 ? "" : `: ${lostReason}`;
      throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_BUS_LOST", `start: Redis${redisPlace} was not ready within ${timeout} ms, and "cluster.required" is true${why}`);
    }
  }
});

// merged:options/checks.cjs
var require_checks = __commonJS({
  "merged:options/checks.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("options/checks.cjs");
  }
});

// options/redis.cjs
var require_redis = __commonJS({
  "options/redis.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.REDIS_TLS_OPTIONS_NAMED = void 0;
    exports2.checkRedisOptions = checkRedisOptions;
    exports2.text = text;
    exports2.defined = defined;
    var errors_cjs_1 = require_errors();
    var checks_cjs_1 = require_checks();
    var REDIS_OPTIONS = [
      "url",
      "host",
      "port",
      "nodes",
      "sentinels",
      "name",
      "username",
      "password",
      "db",
      "connectTimeout",
      "tls"
    ];
    var REDIS_TLS_OPTIONS = ["ca", "cert", "key", "rejectUnauthorized"];
    exports2.REDIS_TLS_OPTIONS_NAMED = [...REDIS_TLS_OPTIONS, "servername"];
    function checkRedisOptions(call, name, value, tlsOptions = REDIS_TLS_OPTIONS) {
      if (typeof value === "string")
        return { url: url(call, name, value), nodes: [], kind: "single" };
      if (typeof value !== "object" || value === null) {
        throw (0, checks_cjs_1.wrongType)(call, name, "a redis:// or rediss:// URL, or an object", value);
      }
      const bag = (0, checks_cjs_1.knownKeys)(call, name, value, REDIS_OPTIONS);
      const kinds = ["url", "host", "nodes", "sentinels"].filter((kind) => bag[kind] !== void 0);
      if (kinds.length > 1) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must have exactly one of url, host, nodes and sentinels, got ${kinds.join(" and ")}`);
      }
      if (kinds.length === 0 && bag["port"] === void 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must have exactly one of url, host, nodes and sentinels, got none`);
      }
      if (bag["nodes"] !== void 0 && bag["db"] !== void 0 && bag["db"] !== 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}.db" must be left out with "nodes": a Redis Cluster has one database`);
      }
      const shared = {
        ...defined("username", text(call, `${name}.username`, bag["username"])),
        ...defined("password", text(call, `${name}.password`, bag["password"])),
        ...defined("db", (0, checks_cjs_1.integer)(call, `${name}.db`, bag["db"], 0, 2 ** 16)),
        ...defined("connectTimeout", (0, checks_cjs_1.duration)(call, `${name}.connectTimeout`, bag["connectTimeout"], 1)),
        ...defined("tls", redisTls(call, `${name}.tls`, bag["tls"], tlsOptions))
      };
      if (bag["url"] !== void 0) {
        return { url: url(call, `${name}.url`, bag["url"]), nodes: [], kind: "single", ...shared };
      }
      if (bag["sentinels"] !== void 0) {
        const primary = text(call, `${name}.name`, bag["name"]);
        if (primary === void 0 || primary === "") {
          throw (0, checks_cjs_1.wrongType)(call, `${name}.name`, "the name of the primary that the Sentinels watch", bag["name"]);
        }
        return {
          kind: "sentinel",
          nodes: nodes(call, `${name}.sentinels`, bag["sentinels"], 26379),
          name: primary,
          ...shared
        };
      }
      if (bag["nodes"] !== void 0) {
        return { kind: "cluster", nodes: nodes(call, `${name}.nodes`, bag["nodes"], 6379), ...shared };
      }
      return {
        kind: "single",
        nodes: [node(call, name, { host: bag["host"] ?? "127.0.0.1", port: bag["port"] }, 6379)],
        ...shared
      };
    }
    function url(call, name, value) {
      if (typeof value !== "string")
        throw (0, checks_cjs_1.wrongType)(call, name, "a string", value);
      if (!/^rediss?:\/\/\S+$/.test(value)) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must be a redis:// or rediss:// URL, such as 'redis://127.0.0.1:6379'`);
      }
      return value;
    }
    function nodes(call, name, value, port) {
      if (!Array.isArray(value))
        throw (0, checks_cjs_1.wrongType)(call, name, "an array of { host, port }", value);
      if (value.length === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must contain at least one server, got an empty array`);
      }
      return value.map((one, i) => node(call, `${name}[${i}]`, (0, checks_cjs_1.knownKeys)(call, `${name}[${i}]`, one, ["host", "port"]), port));
    }
    function node(call, name, { host, port }, usual) {
      if (typeof host !== "string" || host === "") {
        throw (0, checks_cjs_1.wrongType)(call, `${name}.host`, "a host name or an IP address", host);
      }
      return { host, port: (0, checks_cjs_1.integer)(call, `${name}.port`, port, 1, 65535) ?? usual };
    }
    function redisTls(call, name, value, known) {
      if (value === void 0 || value === false)
        return void 0;
      if (value === true)
        return { rejectUnauthorized: true };
      const bag = (0, checks_cjs_1.knownKeys)(call, name, value, known);
      const pem = (option) => {
        const one = bag[option];
        if (one === void 0)
          return void 0;
        if (one instanceof Uint8Array)
          return Buffer.from(one);
        if (typeof one !== "string")
          throw (0, checks_cjs_1.wrongType)(call, `${name}.${option}`, "PEM", one);
        if (!one.includes("-----BEGIN")) {
          throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}.${option}" must be PEM, which contains a line with -----BEGIN`);
        }
        return Buffer.from(one);
      };
      const [cert, key] = [pem("cert"), pem("key")];
      if (cert === void 0 !== (key === void 0)) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must have both "cert" and "key", or neither`);
      }
      return {
        ...defined("ca", pem("ca")),
        ...defined("cert", cert),
        ...defined("key", key),
        ...defined("servername", text(call, `${name}.servername`, bag["servername"])),
        rejectUnauthorized: (0, checks_cjs_1.optional)(call, `${name}.rejectUnauthorized`, bag["rejectUnauthorized"], "boolean") ?? true
      };
    }
    function text(call, name, value) {
      if (value !== void 0 && typeof value !== "string") {
        throw (0, checks_cjs_1.wrongType)(call, name, "a string", value);
      }
      return value;
    }
    function defined(name, value) {
      return value === void 0 ? {} : { [name]: value };
    }
  }
});

// options/cluster.cjs
var require_cluster = __commonJS({
  "options/cluster.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.checkClusterOptions = checkClusterOptions;
    var checks_cjs_1 = require_checks();
    var redis_cjs_1 = require_redis();
    function expected(name) {
      return name === "options" ? "an object" : "an object such as { redis: 'redis://127.0.0.1:6379' }";
    }
    var CLUSTER_OPTIONS = ["redis", "prefix", "instanceId", "required", "maxOutgoing", "onBus"];
    function checkClusterOptions(call, name, value, known = CLUSTER_OPTIONS) {
      const bag = (0, checks_cjs_1.knownKeys)(call, name, value, known, {}, expected(name));
      const within = (option) => name === "options" ? option : `${name}.${option}`;
      const prefix = (0, redis_cjs_1.text)(call, within("prefix"), bag["prefix"]) ?? "wsbroker";
      if (prefix === "" || Buffer.byteLength(prefix) > 256) {
        throw (0, checks_cjs_1.wrongValue)(call, within("prefix"), "1 to 256 bytes", prefix);
      }
      const instanceId = (0, redis_cjs_1.text)(call, within("instanceId"), bag["instanceId"]);
      if (instanceId !== void 0 && (instanceId === "" || Buffer.byteLength(instanceId) > 256)) {
        throw (0, checks_cjs_1.wrongValue)(call, within("instanceId"), "1 to 256 bytes", instanceId);
      }
      return {
        native: {
          redis: (0, redis_cjs_1.checkRedisOptions)(call, within("redis"), bag["redis"]),
          prefix,
          ...instanceId !== void 0 && { instanceId },
          maxOutgoing: (0, checks_cjs_1.integer)(call, within("maxOutgoing"), bag["maxOutgoing"], 1, checks_cjs_1.MAX_SIZE, "bytes") ?? 2 ** 23
        },
        required: (0, checks_cjs_1.optional)(call, within("required"), bag["required"], "boolean") ?? false,
        onBus: (0, checks_cjs_1.optional)(call, within("onBus"), bag["onBus"], "function")
      };
    }
  }
});

// merged:options/channel-calls.cjs
var require_channel_calls = __commonJS({
  "merged:options/channel-calls.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("options/channel-calls.cjs");
  }
});

// options/drain.cjs
var require_drain = __commonJS({
  "options/drain.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.checkDrainOptions = checkDrainOptions;
    var errors_cjs_1 = require_errors();
    var channel_calls_cjs_1 = require_channel_calls();
    var checks_cjs_1 = require_checks();
    var KNOWN = [
      "over",
      "jitter",
      "delay",
      "deadline",
      "code",
      "retryAfter",
      "notice",
      "onProgress"
    ];
    function checkDrainOptions(options) {
      const call = "drain";
      const bag = options === void 0 ? {} : (0, checks_cjs_1.knownKeys)(call, "options", options, KNOWN);
      const time = (name) => (0, checks_cjs_1.duration)(call, name, bag[name], 0);
      const delay = time("delay") ?? 0;
      const over = time("over") ?? 1e4;
      const deadline = time("deadline") ?? delay + over + 5e3;
      const code = (0, checks_cjs_1.integer)(call, "code", bag["code"], 1e3, 4999) ?? 1012;
      if (!(0, checks_cjs_1.isSendableCode)(code))
        throw (0, checks_cjs_1.wrongValue)(call, "code", checks_cjs_1.SENDABLE_CODES, code);
      const notice = bag["notice"];
      const native = {
        delay,
        over,
        deadline,
        code,
        jitter: fraction(call, "jitter", bag["jitter"]) ?? 0.1,
        retryAfter: time("retryAfter") ?? 1e3,
        noticeIsText: typeof notice === "string"
      };
      if (notice !== void 0)
        native.notice = (0, channel_calls_cjs_1.bytesOf)(call, "notice", notice);
      const onProgress = (0, checks_cjs_1.optional)(call, "onProgress", bag["onProgress"], "function");
      return { native, onProgress };
    }
    function fraction(call, name, value) {
      if (value === void 0)
        return void 0;
      if (typeof value !== "number")
        throw (0, checks_cjs_1.wrongType)(call, name, "a number", value);
      if (!(value >= 0 && value <= 1)) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must be a number from 0 to 1, got ${value}`);
      }
      return value;
    }
  }
});

// merged:builtins.cjs
var require_builtins = __commonJS({
  "merged:builtins.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("builtins.cjs");
  }
});

// merged:options/headers.cjs
var require_headers = __commonJS({
  "merged:options/headers.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("options/headers.cjs");
  }
});

// options/http.cjs
var require_http = __commonJS({
  "options/http.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.FETCH_HINT = exports2.HTTP_OPTIONS = void 0;
    exports2.checkHttpOptions = checkHttpOptions;
    exports2.checkNotListening = checkNotListening;
    var node_util_1 = require("node:util");
    var builtins_cjs_1 = require_builtins();
    var errors_cjs_1 = require_errors();
    var checks_cjs_1 = require_checks();
    var headers_cjs_1 = require_headers();
    exports2.HTTP_OPTIONS = [
      "answers",
      "http",
      "forwardUpgrades",
      "keepAliveTimeout",
      "requestTimeout",
      "forwardTimeout"
    ];
    var EXPECTED_HTTP = "an http.Server that does not listen yet, a request listener such as an Express application, or { forward } with an address such as 'http://127.0.0.1:3001'";
    exports2.FETCH_HINT = `for Hono, pass getRequestListener(app.fetch) of '@hono/node-server'; for h3, toNodeHandler(app) of 'h3'; for Elysia and other "fetch" functions, toNodeHandler(app.fetch) of 'srvx/node'`;
    var EXPECTED_ANSWER = `'health', 'ready', 'metrics', or an object with "status"`;
    function checkHttpOptions(call, bag, paths) {
      const answers = checkAnswers(call, bag["answers"], paths);
      const target = bag["http"] === void 0 ? void 0 : checkTarget(call, bag["http"]);
      const upgrades = checkUpgrades(call, bag["forwardUpgrades"], paths);
      const time = (name, fallback) => (0, checks_cjs_1.duration)(call, name, bag[name], 1) ?? fallback;
      const native = {
        answers,
        forwardAllUpgrades: upgrades === true,
        forwardUpgrades: upgrades === true ? [] : upgrades,
        keepAliveTimeout: time("keepAliveTimeout", 75e3),
        requestTimeout: time("requestTimeout", 6e4),
        forwardTimeout: time("forwardTimeout", 6e4)
      };
      const given = (name) => bag[name] !== void 0 && bag[name] !== false;
      const lone = ["forwardUpgrades", "requestTimeout", "forwardTimeout"].find(given);
      if (target === void 0 && lone !== void 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${lone}" requires "http", which says where requests are forwarded`);
      }
      if (target !== void 0 || answers.length > 0)
        return { native, target };
      if (given("keepAliveTimeout")) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "keepAliveTimeout" requires "http" or "answers"; for sockets use "idleTimeout"`);
      }
      if (paths.length === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "path" must contain at least one path, got an empty array; only an address with "answers" or "http" can do without`);
      }
      return void 0;
    }
    function checkAnswers(call, value, paths) {
      if (value === void 0)
        return [];
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, "answers", "an object such as { '/healthz': 'health' }", value);
      }
      return Object.entries(value).flatMap(([path, answer]) => {
        if (!/^\/[^?#\s]*$/.test(path)) {
          throw (0, checks_cjs_1.wrongValue)(call, "answers", "an object whose keys are paths that begin with '/' and have no '?', '#' or space", path);
        }
        if (paths.includes(path)) {
          throw new errors_cjs_1.WSBrokerRangeError(`${call}: '${path}' is in "path" and in "answers"; a path is either served to sockets or answered, so remove it from one of them`);
        }
        return answer === void 0 ? [] : [checkAnswer(call, path, answer)];
      });
    }
    function checkAnswer(call, path, answer) {
      const name = `answers['${path}']`;
      if (typeof answer === "string") {
        if (answer !== "health" && answer !== "ready" && answer !== "metrics") {
          throw (0, checks_cjs_1.wrongValue)(call, name, EXPECTED_ANSWER, answer);
        }
        return { path, kind: answer, status: 200, headers: [] };
      }
      if (typeof answer !== "object" || answer === null || Array.isArray(answer)) {
        throw (0, checks_cjs_1.wrongType)(call, name, EXPECTED_ANSWER, answer);
      }
      const bag = (0, checks_cjs_1.knownKeys)(call, name, answer, ["status", "headers", "body"]);
      const status = (0, checks_cjs_1.integer)(call, `${name}.status`, bag["status"], 200, 599);
      if (status === void 0) {
        throw (0, checks_cjs_1.wrongType)(call, `${name}.status`, "an integer from 200 to 599", void 0);
      }
      const wrong = (what) => new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}": ${what}`);
      const headers = bag["headers"] === void 0 ? [] : (0, headers_cjs_1.headerPairs)(bag["headers"], wrong);
      const native = {
        path,
        kind: "fixed",
        status,
        headers: headers.map(([header, text]) => ({ name: header, value: text }))
      };
      if (bag["body"] !== void 0)
        native.body = bodyBytes(call, `${name}.body`, bag["body"]);
      return native;
    }
    function bodyBytes(call, name, value) {
      if (typeof value === "string")
        return Buffer.from(value);
      if (node_util_1.types.isUint8Array(value))
        return Buffer.from(value);
      if (node_util_1.types.isArrayBuffer(value))
        return Buffer.from(new Uint8Array(value));
      throw (0, checks_cjs_1.wrongType)(call, name, "a string, ArrayBuffer or Uint8Array", value);
    }
    function checkUpgrades(call, value, paths) {
      if (value === void 0 || value === false)
        return [];
      if (value !== true && !Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, "forwardUpgrades", "a boolean or an array of paths", value);
      }
      if (paths.includes("*")) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "forwardUpgrades" has no effect while "path" is '*', because every upgrade is wsbroker's; set "path" to the paths of your sockets, such as path: '/ws'`);
      }
      if (value === true)
        return true;
      const upgrades = (0, checks_cjs_1.strings)(call, "forwardUpgrades", value, "a boolean or an array of paths");
      for (const one of upgrades) {
        if (!/^\/[^?#\s]*$/.test(one)) {
          const expected = "paths that begin with '/' and have no '?', '#' or space";
          throw (0, checks_cjs_1.wrongValue)(call, "forwardUpgrades", expected, one);
        }
        if (paths.includes(one)) {
          throw new errors_cjs_1.WSBrokerRangeError(`${call}: '${one}' is in "path" and in "forwardUpgrades"; remove it from one of them`);
        }
      }
      return upgrades;
    }
    function checkTarget(call, value) {
      if (typeof value === "function") {
        if (/^(bound )?fetch$/.test(value.name)) {
          throw new errors_cjs_1.WSBrokerRangeError(`${call}: "http" must be ${EXPECTED_HTTP}; ${exports2.FETCH_HINT}`);
        }
        return { kind: "function", handle: value };
      }
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, "http", EXPECTED_HTTP, value);
      }
      if (value instanceof builtins_cjs_1.builtins.tls.Server || value instanceof builtins_cjs_1.builtins.https.Server) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "http" must be a server without TLS, got an https.Server; wsbroker encrypts the whole address with "tls", so pass a server of http.createServer`);
      }
      if (value instanceof builtins_cjs_1.builtins.http.Server) {
        checkNotListening(call, value);
        return { kind: "server", server: value };
      }
      const hint = hintForObject(value);
      if (hint !== void 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "http" must be ${EXPECTED_HTTP}; ${hint}`);
      }
      const { forward } = (0, checks_cjs_1.knownKeys)(call, "http", value, ["forward"]);
      if (typeof forward !== "string" && !(forward instanceof URL)) {
        throw (0, checks_cjs_1.wrongType)(call, "http.forward", "a string or a URL", forward);
      }
      return { kind: "address", forward: String(forward) };
    }
    function checkNotListening(call, server) {
      if (!server.listening)
        return;
      throw new errors_cjs_1.WSBrokerRangeError(`${call}: "http" must be a server that does not listen yet, because wsbroker listens for it; remove its call of listen, or pass its address as { forward }`);
    }
    function hintForObject(value) {
      const has = (name) => typeof value[name] === "function";
      const { server } = value;
      if (server instanceof builtins_cjs_1.builtins.http.Server) {
        return 'for Fastify, pass app.server after "await app.ready()"';
      }
      if (has("getHttpServer"))
        return 'for NestJS, pass app.getHttpServer() after "await app.init()"';
      if (has("callback") && has("use"))
        return "for Koa, pass app.callback()";
      if (has("fetch") && has("request"))
        return exports2.FETCH_HINT;
      if (has("fetch") && has("listen")) {
        return "for Elysia, pass toNodeHandler(app.fetch) of 'srvx/node'; on Bun, app.listen(0) and { forward: app.server.url } will do, too";
      }
      if (has("fetch"))
        return "for Bun.serve, pass { forward: server.url }";
      return value instanceof builtins_cjs_1.builtins.net.Server ? "got another kind of server" : void 0;
    }
  }
});

// options/process.cjs
var require_process = __commonJS({
  "options/process.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.defaultProcessOptions = defaultProcessOptions;
    exports2.toNativeProcessOptions = toNativeProcessOptions;
    exports2.fromNativeOptions = fromNativeOptions;
    exports2.processOptionsWith = processOptionsWith;
    var builtins_cjs_1 = require_builtins();
    var OFF = {
      maxConnections: void 0,
      maxConnectionsPerIp: void 0,
      maxChannelsPerSocket: void 0,
      maxChannelNameLength: void 0
    };
    function defaultProcessOptions(native) {
      const { memory: known, cpus } = native.brokerDefaults();
      const memory = known > 0 ? known : builtins_cjs_1.builtins.os.totalmem();
      const quarter = Math.max(1, Math.floor(memory / 4));
      return {
        handlers: "serial",
        handlerTimeout: 3e4,
        "watchdog.after": 1e3,
        "watchdog.action": "report",
        ioThreads: Math.max(1, Math.floor(cpus / 2)),
        maxSendMemory: quarter,
        maxReceiveMemory: quarter,
        "maxInFlight.messages": 256,
        "maxInFlight.bytes": 2 ** 20,
        "maxInFlight.workerBytes": 2 ** 24,
        maxPendingUpgrades: 4096,
        history: [],
        maxHistoryMemory: Math.max(1, Math.floor(memory / 8)),
        ...OFF
      };
    }
    function toNativeProcessOptions(options) {
      const { handlers, "maxInFlight.messages": messages, "maxInFlight.bytes": bytes, "maxInFlight.workerBytes": workerBytes, "watchdog.after": stuckAfter, "watchdog.action": _, ...others } = options;
      return {
        ...others,
        maxInFlight: { messages, bytes, workerBytes },
        stuckAfter,
        concurrent: handlers === "concurrent"
      };
    }
    function fromNativeOptions(options) {
      const { maxInFlight: { messages, bytes, workerBytes }, concurrent: _, handlerTimeout: __, stuckAfter, ...others } = options;
      return {
        ...others,
        "watchdog.after": stuckAfter,
        "maxInFlight.messages": messages,
        "maxInFlight.bytes": bytes,
        "maxInFlight.workerBytes": workerBytes
      };
    }
    function processOptionsWith(native, given, started) {
      const { threads: _, ...rest } = given;
      const now = native.processOptionsNow(started);
      return {
        ...defaultProcessOptions(native),
        ...now === null ? {} : fromNativeOptions(now),
        ...rest
      };
    }
  }
});

// merged:options/history.cjs
var require_history = __commonJS({
  "merged:options/history.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("options/history.cjs");
  }
});

// options/threads.cjs
var require_threads = __commonJS({
  "options/threads.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.NO_THREAD_OPTIONS = void 0;
    exports2.checkThreadOptions = checkThreadOptions;
    exports2.sameThreadOptions = sameThreadOptions;
    exports2.explainThreadError = explainThreadError;
    var node_util_1 = require("node:util");
    var node_worker_threads_1 = require("node:worker_threads");
    var errors_cjs_1 = require_errors();
    var checks_cjs_1 = require_checks();
    exports2.NO_THREAD_OPTIONS = {
      workerData: {},
      watch: false,
      options: {}
    };
    var LIMITS = [
      "maxOldGenerationSizeMb",
      "maxYoungGenerationSizeMb",
      "codeRangeSizeMb",
      "stackSizeMb"
    ];
    function checkThreadOptions(call, value) {
      if (typeof value === "string") {
        throw new errors_cjs_1.WSBrokerTypeError(`${call}: "worker" must be an object, got string; pass the path of the worker module as "workerPath"`);
      }
      const bag = (0, checks_cjs_1.knownKeys)(call, "worker", value, [
        "workerData",
        "env",
        "execArgv",
        "resourceLimits",
        "watch",
        "name"
      ]);
      const { workerData, env, execArgv, resourceLimits, name } = bag;
      if (name !== void 0 && typeof name !== "string") {
        throw (0, checks_cjs_1.wrongType)(call, "worker.name", "a string", name);
      }
      return {
        workerData: workerData === void 0 ? {} : cloned(call, workerData),
        watch: (0, checks_cjs_1.optional)(call, "worker.watch", bag["watch"], "boolean") ?? false,
        options: {
          ...env !== void 0 && { env: environment(call, env) },
          ...execArgv !== void 0 && {
            execArgv: [...(0, checks_cjs_1.strings)(call, "worker.execArgv", execArgv, "an array of strings")]
          },
          ...resourceLimits !== void 0 && { resourceLimits: limits(call, resourceLimits) },
          ...name !== void 0 && { name }
        }
      };
    }
    function sameThreadOptions(one, other) {
      return (0, node_util_1.isDeepStrictEqual)(one, other);
    }
    function explainThreadError(error) {
      const { code, message } = error ?? {};
      return code === "ERR_WORKER_INVALID_EXEC_ARGV" ? new errors_cjs_1.WSBrokerRangeError(`start: "worker.execArgv" must contain only flags that worker threads accept: ${String(message)}`) : error;
    }
    function cloned(call, value) {
      try {
        return structuredClone(value);
      } catch (error) {
        throw new errors_cjs_1.WSBrokerTypeError(`${call}: "worker.workerData" must be a value that structuredClone can copy: ${String(error.message)}`, { cause: error });
      }
    }
    function environment(call, value) {
      if (value === node_worker_threads_1.SHARE_ENV)
        return node_worker_threads_1.SHARE_ENV;
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, "worker.env", "an object of strings, or SHARE_ENV", value);
      }
      const all = Object.entries(value).filter(([, text]) => text !== void 0);
      for (const [key, text] of all) {
        if (typeof text !== "string")
          throw (0, checks_cjs_1.wrongType)(call, `worker.env.${key}`, "a string", text);
      }
      const { WSBROKER_BINARY } = process.env;
      return {
        ...WSBROKER_BINARY !== void 0 && { WSBROKER_BINARY },
        ...Object.fromEntries(all)
      };
    }
    function limits(call, value) {
      const bag = (0, checks_cjs_1.knownKeys)(call, "worker.resourceLimits", value, LIMITS);
      const given = Object.entries(bag).filter(([, number]) => number !== void 0);
      for (const [name, number] of given) {
        if (typeof number !== "number") {
          throw (0, checks_cjs_1.wrongType)(call, `worker.resourceLimits.${name}`, "a number", number);
        }
        if (!(number > 0 && number < 2 ** 31)) {
          throw (0, checks_cjs_1.wrongValue)(call, `worker.resourceLimits.${name}`, "a number of MiB greater than 0 and less than 2^31", number);
        }
      }
      return Object.fromEntries(given);
    }
  }
});

// options/tls.cjs
var require_tls = __commonJS({
  "options/tls.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.checkTlsOptions = checkTlsOptions;
    exports2.readTls = readTls;
    var node_fs_1 = require("node:fs");
    var node_path_1 = require("node:path");
    var node_url_1 = require("node:url");
    var errors_cjs_1 = require_errors();
    var checks_cjs_1 = require_checks();
    var TLS_OPTIONS = ["cert", "key", "ca", "requestCert", "rejectUnauthorized", "minVersion"];
    var LONGEST_PATH = 4096;
    function checkTlsOptions(call, value) {
      const bag = (0, checks_cjs_1.knownKeys)(call, "tls", value, TLS_OPTIONS, {}, "an object such as { cert: 'chain.pem', key: 'key.pem' }");
      const certs = pemLocations(call, "tls.cert", bag["cert"]);
      const keys = pemLocations(call, "tls.key", bag["key"]);
      if (certs.length === 0) {
        throw invalid(call, '"tls.cert" must contain at least one certificate, got an empty array');
      }
      if (certs.length !== keys.length) {
        throw invalid(call, `"tls.key" must have one key for each "tls.cert", got ${keys.length} for ${certs.length}`);
      }
      const ca = bag["ca"] === void 0 ? [] : pemLocations(call, "tls.ca", bag["ca"]);
      const requestCert = (0, checks_cjs_1.optional)(call, "tls.requestCert", bag["requestCert"], "boolean") ?? false;
      if (requestCert && ca.length === 0) {
        throw invalid(call, '"tls.requestCert" requires "tls.ca", the authorities that may issue client certificates');
      }
      if (!requestCert && ca.length > 0) {
        throw invalid(call, '"tls.ca" requires "tls.requestCert": without it, clients are not asked for certificates');
      }
      return {
        pairs: certs.map((cert, i) => ({ cert, key: keys[i] })),
        ca,
        requestCert,
        rejectUnauthorized: (0, checks_cjs_1.optional)(call, "tls.rejectUnauthorized", bag["rejectUnauthorized"], "boolean") ?? true,
        minVersion: (0, checks_cjs_1.oneOf)(call, "tls.minVersion", bag["minVersion"], ["TLSv1.2", "TLSv1.3"]) ?? "TLSv1.2"
      };
    }
    async function readTls(call, request) {
      const { pairs, ca, ...settings } = request;
      const [readPairs, authorities] = await Promise.all([
        Promise.all(pairs.map(async ({ cert, key }) => ({
          cert: await read(call, cert),
          key: await read(call, key)
        }))),
        Promise.all(ca.map((one) => read(call, one)))
      ]);
      return { ...settings, pairs: readPairs, ca: authorities };
    }
    function pemLocations(call, name, value) {
      return Array.isArray(value) ? value.map((one, i) => pemLocation(call, `${name}[${i}]`, one)) : [pemLocation(call, name, value)];
    }
    function pemLocation(call, name, value) {
      if (value instanceof Uint8Array)
        return { name, pem: Buffer.from(value) };
      if (value instanceof ArrayBuffer)
        return { name, pem: Buffer.from(value.slice(0)) };
      if (typeof value === "string" && value.includes("-----BEGIN")) {
        return { name, pem: Buffer.from(value) };
      }
      if (typeof value === "string" && !value.startsWith("file:")) {
        if (value === "" || value.length > LONGEST_PATH || /[\0\n\r]/.test(value)) {
          throw invalid(call, `"${name}" must be PEM, which contains a line with -----BEGIN, or the path of a file`);
        }
        return { name, path: (0, node_path_1.resolve)(value) };
      }
      if (typeof value !== "string" && !(value instanceof URL)) {
        throw (0, checks_cjs_1.wrongType)(call, name, "PEM (a string or bytes) or the path of a file", value);
      }
      try {
        return { name, path: (0, node_url_1.fileURLToPath)(value) };
      } catch {
        throw (0, checks_cjs_1.wrongValue)(call, name, "a path or a file: URL on this machine", String(value));
      }
    }
    async function read(call, from) {
      if ("pem" in from)
        return { name: `"${from.name}"`, pem: from.pem };
      try {
        return { name: `"${from.name}" (${from.path})`, pem: await node_fs_1.promises.readFile(from.path) };
      } catch (error) {
        const { code, message } = error;
        const failure = new errors_cjs_1.WSBrokerError("ERR_WSBROKER_TLS", `${call}: "${from.name}" (${from.path}) cannot be read: ${message}`, { cause: error });
        throw code === void 0 ? failure : Object.assign(failure, { syscallCode: code });
      }
    }
    function invalid(call, message) {
      return new errors_cjs_1.WSBrokerRangeError(`${call}: ${message}`);
    }
  }
});

// options/start.cjs
var require_start = __commonJS({
  "options/start.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.START_OPTIONS = exports2.MAX_THREADS = void 0;
    exports2.checkStartOptions = checkStartOptions;
    exports2.checkShutdownOptions = checkShutdownOptions;
    exports2.path = path;
    var node_url_1 = require("node:url");
    var builtins_cjs_1 = require_builtins();
    var errors_cjs_1 = require_errors();
    var advice_cjs_1 = require_advice();
    var checks_cjs_1 = require_checks();
    var cluster_cjs_1 = require_cluster();
    var history_cjs_1 = require_history();
    var http_cjs_1 = require_http();
    var threads_cjs_1 = require_threads();
    var tls_cjs_1 = require_tls();
    exports2.MAX_THREADS = 1024;
    var MAX_STRING = 2 ** 29 - 24;
    exports2.START_OPTIONS = [
      "bind",
      "workerPath",
      "threads",
      "startTimeout",
      "worker",
      "handlers",
      "handlerTimeout",
      "watchdog",
      "ioThreads",
      "path",
      "protocols",
      "maxPayload",
      "handshakeTimeout",
      "openTimeout",
      "maxPendingUpgrades",
      "maxHeaderSize",
      "idleTimeout",
      "pings",
      "pingInterval",
      "closeTimeout",
      "maxBackpressure",
      "overflow",
      "maxSendMemory",
      "maxReceiveMemory",
      "maxInFlight",
      "maxConnections",
      "maxConnectionsPerIp",
      "maxChannelsPerSocket",
      "maxChannelNameLength",
      "history",
      "maxHistoryMemory",
      "maxLifetime",
      "rateLimit",
      "origins",
      "trustProxy",
      "proxyProtocol",
      "reusePort",
      "perMessageDeflate",
      "tls",
      "onWorker",
      "cluster",
      "signal",
      ...http_cjs_1.HTTP_OPTIONS
    ];
    function checkStartOptions(options, call = "start") {
      const bag = (0, checks_cjs_1.knownKeys)(call, "options", options, exports2.START_OPTIONS, advice_cjs_1.OPTION_HINTS);
      if (typeof bag["bind"] !== "string") {
        throw (0, checks_cjs_1.wrongType)(call, "bind", (0, advice_cjs_1.exampleBind)(bag["bind"]), bag["bind"]);
      }
      const time = (name, from, fallback) => (0, checks_cjs_1.duration)(call, name, bag[name], from) ?? fallback;
      const size = (name, from, to, fallback) => (0, checks_cjs_1.integer)(call, name, bag[name], from, to, "bytes") ?? fallback;
      const paths = servedPaths(call, bag["path"]);
      return {
        workerPath: path(call, "workerPath", bag["workerPath"]),
        startTimeout: time("startTimeout", 0, 3e4),
        process: processOptions(call, bag),
        threads: threadOptions(call, bag),
        listener: {
          bind: bag["bind"],
          paths,
          protocols: subprotocols(call, bag["protocols"]),
          handshakeTimeout: time("handshakeTimeout", 1, 1e4),
          openTimeout: time("openTimeout", 1, 1e4),
          maxHeaderSize: size("maxHeaderSize", 256, 2 ** 20, 16384),
          maxPayload: size("maxPayload", 1, MAX_STRING, 2 ** 20),
          idleTimeout: time("idleTimeout", 0, 12e4),
          pings: (0, checks_cjs_1.optional)(call, "pings", bag["pings"], "boolean") ?? true,
          pingInterval: time("pingInterval", 0, 25e3),
          closeTimeout: time("closeTimeout", 1, 5e3),
          maxBackpressure: size("maxBackpressure", 1, checks_cjs_1.MAX_SIZE, 2 ** 20),
          overflow: (0, checks_cjs_1.oneOf)(call, "overflow", bag["overflow"], ["close", "dropNewest", "dropOldest"]) ?? "close",
          maxLifetime: time("maxLifetime", 0, 0),
          rateLimit: rateLimit(call, bag["rateLimit"]),
          origins: allowedOrigins(call, bag["origins"]),
          trustProxy: trustProxy(call, bag["trustProxy"]),
          proxyProtocol: (0, checks_cjs_1.optional)(call, "proxyProtocol", bag["proxyProtocol"], "boolean") ?? false,
          reusePort: (0, checks_cjs_1.optional)(call, "reusePort", bag["reusePort"], "boolean") ?? false,
          deflate: deflate(call, bag["perMessageDeflate"])
        },
        http: (0, http_cjs_1.checkHttpOptions)(call, bag, paths),
        tls: bag["tls"] === void 0 ? void 0 : (0, tls_cjs_1.checkTlsOptions)(call, bag["tls"]),
        cluster: bag["cluster"] === void 0 ? void 0 : (0, cluster_cjs_1.checkClusterOptions)(call, "cluster", bag["cluster"]),
        onWorker: (0, checks_cjs_1.optional)(call, "onWorker", bag["onWorker"], "function"),
        signal: abortSignal(call, bag["signal"])
      };
    }
    function checkShutdownOptions(options) {
      const call = "shutdown";
      const bag = options === void 0 ? {} : (0, checks_cjs_1.knownKeys)(call, "options", options, ["code", "timeout"]);
      const code = (0, checks_cjs_1.integer)(call, "code", bag["code"], 1e3, 4999) ?? 1001;
      if (!(0, checks_cjs_1.isSendableCode)(code))
        throw (0, checks_cjs_1.wrongValue)(call, "code", checks_cjs_1.SENDABLE_CODES, code);
      return { code, timeout: (0, checks_cjs_1.duration)(call, "timeout", bag["timeout"], 0) ?? 8e3 };
    }
    function abortSignal(call, value) {
      if (value === void 0)
        return void 0;
      const { aborted, addEventListener } = value ?? {};
      if (typeof aborted !== "boolean" || typeof addEventListener !== "function") {
        throw (0, checks_cjs_1.wrongType)(call, "signal", "an AbortSignal", value);
      }
      return value;
    }
    function threadOptions(call, bag) {
      if (bag["worker"] === void 0)
        return void 0;
      const threads = (0, threads_cjs_1.checkThreadOptions)(call, bag["worker"]);
      if (bag["threads"] === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "worker" cannot be combined with threads: 0, which starts no worker threads`);
      }
      return threads;
    }
    function processOptions(call, bag) {
      const inFlight = bag["maxInFlight"] === void 0 ? {} : (0, checks_cjs_1.knownKeys)(call, "maxInFlight", bag["maxInFlight"], ["messages", "bytes", "workerBytes"], {}, "an object such as { messages: 256 }");
      const watchdog = bag["watchdog"] === void 0 ? {} : (0, checks_cjs_1.knownKeys)(call, "watchdog", bag["watchdog"], ["after", "action"], {}, "an object such as { after: 10_000, action: 'replace' }");
      const memory = (name) => (0, checks_cjs_1.integer)(call, name, bag[name], 1, Number.MAX_SAFE_INTEGER, "bytes");
      const count = (name) => (0, checks_cjs_1.integer)(call, name, bag[name], 1, checks_cjs_1.MAX_SIZE);
      const flight = (name, unit) => (0, checks_cjs_1.integer)(call, `maxInFlight.${name}`, inFlight[name], 1, checks_cjs_1.MAX_SIZE, unit);
      const all = {
        threads: (0, checks_cjs_1.integer)(call, "threads", bag["threads"], 0, exports2.MAX_THREADS),
        handlers: (0, checks_cjs_1.oneOf)(call, "handlers", bag["handlers"], ["serial", "concurrent"]),
        handlerTimeout: (0, checks_cjs_1.duration)(call, "handlerTimeout", bag["handlerTimeout"], 0),
        "watchdog.after": (0, checks_cjs_1.duration)(call, "watchdog.after", watchdog["after"], 100),
        "watchdog.action": (0, checks_cjs_1.oneOf)(call, "watchdog.action", watchdog["action"], ["report", "replace"]),
        ioThreads: (0, checks_cjs_1.integer)(call, "ioThreads", bag["ioThreads"], 1, 1024),
        maxSendMemory: memory("maxSendMemory"),
        maxReceiveMemory: memory("maxReceiveMemory"),
        "maxInFlight.messages": flight("messages"),
        "maxInFlight.bytes": flight("bytes", "bytes"),
        "maxInFlight.workerBytes": flight("workerBytes", "bytes"),
        maxPendingUpgrades: count("maxPendingUpgrades"),
        maxConnections: count("maxConnections"),
        maxConnectionsPerIp: count("maxConnectionsPerIp"),
        maxChannelsPerSocket: count("maxChannelsPerSocket"),
        maxChannelNameLength: count("maxChannelNameLength"),
        history: (0, history_cjs_1.checkHistory)(call, bag["history"]),
        maxHistoryMemory: memory("maxHistoryMemory")
      };
      return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== void 0));
    }
    function servedPaths(call, value) {
      if (value === void 0)
        return ["*"];
      const paths = typeof value === "string" ? [value] : (0, checks_cjs_1.strings)(call, "path", value, "a string or an array of strings");
      for (const one of paths) {
        if (one !== "*" && !/^\/[^?#\s]*$/.test(one)) {
          throw (0, checks_cjs_1.wrongValue)(call, "path", "'*', or a path that begins with '/' and has no '?', '#' or space", one);
        }
      }
      return [...new Set(paths)];
    }
    function subprotocols(call, value) {
      if (value === void 0)
        return [];
      const list = (0, checks_cjs_1.strings)(call, "protocols", value, "an array of strings");
      for (const one of list) {
        if (!(0, checks_cjs_1.isHttpToken)(one)) {
          throw (0, checks_cjs_1.wrongValue)(call, "protocols", "names of letters, digits and !#$%&'*+-.^_`|~", one);
        }
      }
      return [...new Set(list)];
    }
    function rateLimit(call, value) {
      if (value === void 0)
        return void 0;
      const bag = (0, checks_cjs_1.knownKeys)(call, "rateLimit", value, ["messages", "bytes", "burst", "action"], {}, "an object such as { messages: 50, burst: 200 }");
      const number = (name, to, unit) => (0, checks_cjs_1.integer)(call, `rateLimit.${name}`, bag[name], 1, to, unit);
      const messages = number("messages", checks_cjs_1.MAX_SIZE);
      const bytes = number("bytes", Number.MAX_SAFE_INTEGER, "bytes");
      if (messages === void 0 && bytes === void 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "rateLimit" must set "messages", "bytes" or both`);
      }
      return {
        messages,
        bytes,
        burst: number("burst", checks_cjs_1.MAX_SIZE),
        action: (0, checks_cjs_1.oneOf)(call, "rateLimit.action", bag["action"], ["pause", "close"]) ?? "pause"
      };
    }
    function deflate(call, value) {
      if (value === void 0 || value === false)
        return void 0;
      if (value !== true && typeof value !== "object") {
        throw (0, checks_cjs_1.wrongType)(call, "perMessageDeflate", "a boolean or an object", value);
      }
      const bag = value === true ? {} : (0, checks_cjs_1.knownKeys)(call, "perMessageDeflate", value, ["threshold", "level"]);
      return {
        threshold: (0, checks_cjs_1.integer)(call, "perMessageDeflate.threshold", bag["threshold"], 0, checks_cjs_1.MAX_SIZE, "bytes") ?? 1024,
        level: (0, checks_cjs_1.integer)(call, "perMessageDeflate.level", bag["level"], 1, 9) ?? 3
      };
    }
    function oneOrMore(call, name, value, check) {
      if (typeof value === "string")
        return [check(name, value)];
      const list = (0, checks_cjs_1.strings)(call, name, value, "a string or an array of strings");
      return [...new Set(list.map((one, i) => check(`${name}[${i}]`, one)))];
    }
    function allowedOrigins(call, value) {
      if (value === void 0)
        return void 0;
      return oneOrMore(call, "origins", value, (name, one) => {
        const origin = originOf(one);
        if (origin === void 0) {
          throw (0, checks_cjs_1.wrongValue)(call, name, "'*', 'null', or an origin such as 'https://app.example' or 'https://*.app.example', without a path", one);
        }
        return origin;
      });
    }
    function originOf(text) {
      if (text === "*" || text === "null")
        return text;
      if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\\\s]+$/i.test(text))
        return void 0;
      if (!/^https?:/i.test(text))
        return text.toLowerCase();
      try {
        return new URL(text).origin;
      } catch {
        return void 0;
      }
    }
    function trustProxy(call, value) {
      if (value === void 0)
        return void 0;
      const bag = (0, checks_cjs_1.knownKeys)(call, "trustProxy", value, ["from", "header"], {}, "an object such as { from: '10.0.0.0/8' }");
      const from = oneOrMore(call, "trustProxy.from", bag["from"], (name, one) => {
        if (one !== "unix" && !isNetwork(one)) {
          throw (0, checks_cjs_1.wrongValue)(call, name, "an IP address, a network such as '10.0.0.0/8', or 'unix'", one);
        }
        return one;
      });
      if (from.length === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "trustProxy.from" must contain at least one proxy, got an empty array`);
      }
      return {
        from: from.filter((one) => one !== "unix"),
        unix: from.includes("unix"),
        header: (0, checks_cjs_1.oneOf)(call, "trustProxy.header", bag["header"], ["x-forwarded-for", "forwarded"]) ?? "x-forwarded-for"
      };
    }
    function isNetwork(text) {
      const [, address = "", prefix] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
      const family = builtins_cjs_1.builtins.net.isIP(address);
      return family !== 0 && (prefix === void 0 || Number(prefix) <= (family === 4 ? 32 : 128));
    }
    function path(call, name, value) {
      if (value === void 0)
        return void 0;
      if (typeof value === "string" && !value.startsWith("file:")) {
        if (value === "" || value.includes("\0")) {
          throw (0, checks_cjs_1.wrongValue)(call, name, "the path of a module", value);
        }
        return value;
      }
      if (typeof value !== "string" && !(value instanceof URL)) {
        throw (0, checks_cjs_1.wrongType)(call, name, "a string or a file: URL", value);
      }
      try {
        return (0, node_url_1.fileURLToPath)(value);
      } catch {
        throw (0, checks_cjs_1.wrongValue)(call, name, "a path or a file: URL on this machine", String(value));
      }
    }
  }
});

// options/reload.cjs
var require_reload = __commonJS({
  "options/reload.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.checkReloadOptions = checkReloadOptions;
    var checks_cjs_1 = require_checks();
    var start_cjs_1 = require_start();
    function checkReloadOptions(options) {
      const call = "reloadWorkers";
      const bag = options === void 0 ? {} : (0, checks_cjs_1.knownKeys)(call, "options", options, ["workerPath", "threads", "timeout"]);
      return {
        workerPath: (0, start_cjs_1.path)(call, "workerPath", bag["workerPath"]),
        threads: (0, checks_cjs_1.integer)(call, "threads", bag["threads"], 1, start_cjs_1.MAX_THREADS),
        timeout: (0, checks_cjs_1.duration)(call, "timeout", bag["timeout"], 0) ?? 3e4
      };
    }
  }
});

// pool/import-reports.cjs
var require_import_reports = __commonJS({
  "pool/import-reports.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.ImportReports = void 0;
    var node_worker_threads_1 = require("node:worker_threads");
    var builtins_cjs_1 = require_builtins();
    var ImportReports = class {
      /** The name of the channel on which they do. */
      channel = `wsbroker imports ${builtins_cjs_1.builtins.crypto.randomUUID()}`;
      files = /* @__PURE__ */ new Set();
      /** Called for each file once. */
      onFile;
      #channel;
      constructor() {
        this.#channel = new node_worker_threads_1.BroadcastChannel(this.channel);
        this.#channel.onmessage = (event) => {
          const { data } = event;
          if (this.files.has(data))
            return;
          this.files.add(data);
          this.onFile?.(data);
        };
        this.#channel.unref();
      }
      close() {
        this.#channel.close();
      }
    };
    exports2.ImportReports = ImportReports;
  }
});

// merged:clock.cjs
var require_clock = __commonJS({
  "merged:clock.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("clock.cjs");
  }
});

// merged:promises.cjs
var require_promises = __commonJS({
  "merged:promises.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("promises.cjs");
  }
});

// merged:worker/modules.cjs
var require_modules = __commonJS({
  "merged:worker/modules.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("worker/modules.cjs");
  }
});

// merged:package-folders.cjs
var require_package_folders = __commonJS({
  "merged:package-folders.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("package-folders.cjs");
  }
});

// pool/thread-file.cjs
var require_thread_file = __commonJS({
  "pool/thread-file.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.threadFile = threadFile;
    var node_fs_1 = require("node:fs");
    var node_path_1 = require("node:path");
    var errors_cjs_1 = require_errors();
    var package_folders_cjs_1 = require_package_folders();
    function threadFile() {
      let entry;
      try {
        entry = require.resolve("./pool/thread.cjs");
      } catch {
        entry = (0, node_path_1.join)(package_folders_cjs_1.LIB, "thread.cjs");
      }
      if (typeof entry === "string" && (0, node_fs_1.existsSync)(entry))
        return entry;
      throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_WORKER_FAILED", `start: the file that the threads of the pool run, thread.cjs, is missing: wsbroker is in a bundle. Leave it out (with esbuild: --external:wsbroker), or run the handlers on the calling thread (threads: 0)`);
    }
  }
});

// pool/pool-thread.cjs
var require_pool_thread = __commonJS({
  "pool/pool-thread.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.PoolThread = exports2.STABLE_AFTER = void 0;
    var node_worker_threads_1 = require("node:worker_threads");
    var clock_cjs_1 = require_clock();
    var errors_cjs_1 = require_errors();
    var load_cjs_1 = require_load();
    var promises_cjs_1 = require_promises();
    var report_cjs_1 = require_report();
    var modules_cjs_1 = require_modules();
    var thread_file_cjs_1 = require_thread_file();
    exports2.STABLE_AFTER = 1e4;
    var MAX_FOR_TERMINATION = 250;
    var CUT_TIMEOUT = 250;
    var CUT_GRACE = 1e3;
    var TERMINATION_TIMEOUT = 5e3;
    var PoolThread = class {
      id;
      /** Rejects if the thread fails or ends before it is ready. */
      ready;
      /** Resolves with the reason when the thread has ended. */
      ended;
      /** It has loaded its module, and gets events unless it is {@link held}. */
      wasReady = false;
      /** It gets events only after {@link begin}. */
      held;
      /** Which of the pool's generations it belongs to. */
      generation;
      /** Called when it has run for {@link STABLE_AFTER}. */
      onStable;
      /** Others take its place, so it is not replaced when it ends. */
      superseded = false;
      /** It has ended, though not by itself after it was asked to: events may have been in hand. */
      broken = false;
      #worker;
      #port;
      #startedAt = (0, clock_cjs_1.now)();
      #error;
      #closed = 0;
      #pinned = Promise.resolve(0);
      #stable;
      #begun;
      #asked = false;
      #terminated = false;
      constructor(file, { workerData, options }, startTimeout, { generation, held, imports }) {
        const { port1, port2 } = new node_worker_threads_1.MessageChannel();
        const wsbroker = { file, port: port2, workerData, held, imports };
        const worker = new node_worker_threads_1.Worker((0, thread_file_cjs_1.threadFile)(), {
          ...options,
          workerData: { wsbroker },
          transferList: [port2]
        });
        this.held = held;
        this.generation = generation;
        this.#worker = worker;
        this.#port = port1;
        this.id = worker.threadId;
        worker.on("error", (error) => this.#error ??= error);
        this.ended = new Promise((resolve) => {
          worker.on("exit", (code) => {
            for (let left = (0, node_worker_threads_1.receiveMessageOnPort)(port1); left; left = (0, node_worker_threads_1.receiveMessageOnPort)(port1)) {
              this.#receive(left.message);
            }
            port1.close();
            clearTimeout(this.#stable);
            this.broken = !this.#asked || this.#terminated || code !== 0 || this.#error !== void 0;
            resolve(this.#reason("ERR_WSBROKER_WORKER_DIED", `worker ${this.id} (${file}) exited with code ${code}`));
          });
        });
        this.ready = new Promise((resolve, reject) => {
          const fail = () => {
            this.#error = (0, modules_cjs_1.loadTimeoutError)(file, startTimeout);
            reject(this.#error);
            void worker.terminate();
          };
          let late;
          const loading = startTimeout === 0 ? void 0 : setTimeout(() => late = setImmediate(fail), startTimeout);
          loading?.unref?.();
          const loaded = () => {
            clearTimeout(loading);
            clearImmediate(late);
          };
          worker.on("exit", loaded);
          port1.on("message", (message) => {
            switch (message.type) {
              case "loaded":
                return loaded();
              case "ready":
                loaded();
                this.wasReady = true;
                this.#stable = setTimeout(() => this.onStable?.(), exports2.STABLE_AFTER);
                this.#stable.unref?.();
                return resolve();
              case "failed":
                loaded();
                this.#error = (0, errors_cjs_1.fromPortable)(message.error);
                reject(this.#reason("ERR_WSBROKER_WORKER_FAILED", `worker ${file} failed to load`));
                return void worker.terminate();
              case "warning":
              case "begun":
              case "closed":
              case "unfinished":
                return this.#receive(message);
            }
            message;
          });
          worker.on("exit", (code) => reject(this.#reason("ERR_WSBROKER_WORKER_FAILED", `worker ${file} exited with code ${code} before it was ready`)));
        });
        this.ready.catch(() => void 0);
        worker.unref();
        port1.unref();
      }
      age() {
        return (0, clock_cjs_1.now)() - this.#startedAt;
      }
      /**
       * How many connections were closed because others take its place: clients of its helpers, and
       * those that handlers keep to their thread. Resolves when it has ended.
       */
      async closed() {
        const pinned = await this.#pinned;
        return this.#closed + pinned;
      }
      /** A thread that was held gets events from now on. Resolves when it does, or has ended. */
      async begin() {
        this.held = false;
        const begun = new Promise((resolve) => this.#begun = resolve);
        this.#post({ type: "begin" });
        await Promise.race([begun, this.ended]);
      }
      /** Others are ready to take its place: its connections move to them. */
      supersede() {
        this.superseded = true;
        if (!this.wasReady)
          return;
        load_cjs_1.native.supersedeWorker(this.id);
        this.#post({ type: "supersede" });
      }
      /** Resolves when it has no connections any more and its handlers have settled. */
      emptied() {
        this.#pinned = load_cjs_1.native.workerEmptied(this.id);
        return Promise.race([this.#pinned, this.ended]);
      }
      /**
       * Lets the worker run `handleStop` first, if it is ready. A thread that a system call blocks
       * cannot be ended and is left behind.
       *
       * @returns whether it has ended by itself, and not by an error
       */
      async stop(timeout) {
        const deadline = (0, clock_cjs_1.now)() + timeout;
        const last = Math.min(MAX_FOR_TERMINATION, timeout / 4);
        if (this.wasReady) {
          this.#post({ type: "stop", timeout: timeout - 2 * last });
          if (await (0, promises_cjs_1.within)(timeout - last, this.ended))
            return !this.broken;
        }
        this.#error ??= new Error(`it did not stop within ${Math.round(timeout)} ms`);
        this.#terminated = true;
        await (0, promises_cjs_1.within)(deadline - (0, clock_cjs_1.now)(), this.#worker.terminate());
        return false;
      }
      /**
       * Ends it whatever its handlers are at: what they have not begun goes to others. `handleStop`
       * runs if the thread still responds.
       */
      async cut() {
        this.#error ??= new Error("its handlers had not settled in time");
        this.#post({ type: "leave", timeout: CUT_TIMEOUT });
        if (await (0, promises_cjs_1.within)(CUT_GRACE, this.ended))
          return;
        await this.terminate();
      }
      /** Ends it at once. Its connections move to others even if it cannot be ended. */
      async terminate(error) {
        this.#error ??= error;
        this.#terminated = true;
        void this.#worker.terminate();
        if (!await (0, promises_cjs_1.within)(TERMINATION_TIMEOUT, this.ended))
          load_cjs_1.native.giveUpWorker(this.id);
      }
      #post(message) {
        this.#asked ||= message.type === "stop" || message.type === "leave";
        this.#port.postMessage(message);
      }
      #receive(message) {
        if (message.type === "warning")
          (0, report_cjs_1.warnOnce)(message.text);
        else if (message.type === "begun")
          this.#begun?.();
        else if (message.type === "closed")
          this.#closed = message.clients;
        else if (message.type === "unfinished") {
          this.#error ??= new Error("its handleStop had not settled in time");
        }
      }
      #reason(code, what) {
        const error = this.#error;
        if (error === void 0)
          return new errors_cjs_1.WSBrokerError(code, what);
        const message = error?.message;
        return new errors_cjs_1.WSBrokerError(code, `${what}: ${typeof message === "string" ? message : (0, report_cjs_1.errorText)(error)}`, { cause: error });
      }
    };
    exports2.PoolThread = PoolThread;
  }
});

// pool/pool.cjs
var require_pool = __commonJS({
  "pool/pool.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.Pool = void 0;
    exports2.notifyWatchers = notifyWatchers;
    var clock_cjs_1 = require_clock();
    var load_cjs_1 = require_load();
    var promises_cjs_1 = require_promises();
    var report_cjs_1 = require_report();
    var import_reports_cjs_1 = require_import_reports();
    var pool_thread_cjs_1 = require_pool_thread();
    var FIRST_PAUSE = 100;
    var LONGEST_PAUSE = 1e4;
    var CRASH_LOOP = 3;
    var LEAST_FOR_STOP = 100;
    var Place = class {
      /** How many of them in a row have ended soon after their start. */
      failures = 0;
    };
    var Pool = class {
      given;
      watchers;
      startTimeout;
      #running = /* @__PURE__ */ new Set();
      /** Replacements that are due later, and the functions that start them. */
      #pauses = /* @__PURE__ */ new Map();
      /** The files that its threads load, if they are watched. */
      imports;
      /** Called when it is stopped. */
      onStopped;
      /** Places whose threads end again and again. */
      #failing = /* @__PURE__ */ new Set();
      #file;
      #threads;
      /** How often other threads have taken over. */
      #generation = 0;
      #hurried = false;
      #stopping = false;
      /**
       * @param given how the threads are started
       * @param watchers called for every start and end; they may change while the pool runs
       * @param startTimeout how long a thread may take to load the module, in milliseconds; 0: no limit
       */
      constructor(file, threads, given, watchers, startTimeout) {
        this.given = given;
        this.watchers = watchers;
        this.startTimeout = startTimeout;
        this.#file = file;
        this.#threads = threads;
        if (given.watch)
          this.imports = new import_reports_cjs_1.ImportReports();
      }
      /** The module that its threads load. */
      get file() {
        return this.#file;
      }
      /** How many threads it keeps running. */
      get threads() {
        return this.#threads;
      }
      /**
       * Resolves when every worker is ready.
       *
       * @throws {WSBrokerError} ERR_WSBROKER_WORKER_FAILED, with the first failure as `cause`; the
       * other threads must then be stopped
       */
      async start() {
        await Promise.all(Array.from({ length: this.#threads }, () => this.#launch().ready));
      }
      /**
       * Starts other threads, and has them take the place of those there are. Resolves when they have
       * done so; then `left` resolves when the old threads have ended.
       *
       * @param timeout how long the old threads may take to end, in milliseconds
       * @param unlessAborted may end the wait for the new threads with an error
       * @throws what `unlessAborted` throws, or ERR_WSBROKER_WORKER_FAILED: then nothing has changed
       */
      async takeOver(file, threads, timeout, unlessAborted) {
        const fresh = Array.from({ length: threads }, () => this.#launch(new Place(), file));
        try {
          await unlessAborted(Promise.all(fresh.map(({ ready }) => ready)));
          for (const thread of fresh)
            if (!this.#running.has(thread))
              throw await thread.ended;
        } catch (error) {
          await Promise.all(fresh.map((thread) => thread.terminate()));
          throw error;
        }
        this.#file = file;
        this.#threads = threads;
        this.#generation++;
        for (const pause of this.#pauses.keys())
          clearTimeout(pause);
        this.#pauses.clear();
        await Promise.all(fresh.map((thread) => thread.begin()));
        for (const thread of fresh)
          this.#notify({ type: "started", workerId: thread.id });
        this.#failing.clear();
        this.#tellFailing();
        const superseded = [...this.#running].filter(({ generation }) => generation !== this.#generation);
        for (const thread of superseded)
          thread.supersede();
        const deadline = (0, clock_cjs_1.now)() + timeout;
        const left = Promise.all(superseded.map((thread) => this.#leave(thread, deadline)));
        return {
          left: left.then(async (cuts) => {
            const closed = await Promise.all(superseded.map((thread) => thread.closed()));
            return {
              started: threads,
              stopped: superseded.length,
              cut: cuts.filter((cut) => cut).length,
              closed: closed.reduce((sum, count) => sum + count, 0)
            };
          })
        };
      }
      /** Ends a thread that does not return to its event loop. It is replaced. */
      async replaceStuck(id, reason) {
        const thread = [...this.#running].find((one) => one.id === id);
        await thread?.terminate(reason);
      }
      /**
       * A shutdown has begun. If there is no worker, events wait for one, and there is no time for
       * pauses.
       */
      hurry() {
        this.#hurried = true;
        const [first] = this.#pauses;
        if (this.#running.size > 0 || first === void 0)
          return;
        clearTimeout(first[0]);
        first[1]();
      }
      /**
       * Ends all threads within `timeout` milliseconds, of which `handleStop` has at least a quarter.
       * Never rejects.
       */
      async stop(timeout) {
        this.#stopping = true;
        this.onStopped?.();
        for (const pause of this.#pauses.keys())
          clearTimeout(pause);
        await Promise.all([...this.#running].map((thread) => thread.stop(timeout)));
      }
      /** Lets a thread end whose place others have taken. Returns whether it was cut. */
      async #leave(thread, deadline) {
        const time = () => Math.max(0, deadline - (0, clock_cjs_1.now)());
        if (!thread.wasReady) {
          await thread.terminate();
          return false;
        }
        if (!await (0, promises_cjs_1.within)(time(), thread.emptied())) {
          await thread.cut();
          return true;
        }
        if (thread.broken)
          return true;
        return !await thread.stop(Math.max(LEAST_FOR_STOP, time()));
      }
      /** @param next the module of a thread that is to take over: it is held until all are ready */
      #launch(place = new Place(), next) {
        const held = next !== void 0;
        const { given, startTimeout } = this;
        const thread = new pool_thread_cjs_1.PoolThread(next ?? this.#file, given, startTimeout, {
          generation: held ? this.#generation + 1 : this.#generation,
          held,
          imports: this.imports?.channel
        });
        this.#running.add(thread);
        thread.onStable = () => this.#isStable(place);
        thread.ready.then(() => {
          if (!thread.held)
            this.#notify({ type: "started", workerId: thread.id });
        }, () => void 0);
        void thread.ended.then((reason) => {
          this.#running.delete(thread);
          if (this.#stopping || thread.superseded) {
            if (thread.wasReady)
              this.#tellStopped(thread, reason);
          } else if (thread.held) {
          } else if (thread.wasReady) {
            if (thread.age() >= pool_thread_cjs_1.STABLE_AFTER)
              place.failures = 0;
            this.#replace(thread, "died", reason, place);
          } else if (place.failures > 0) {
            this.#replace(thread, "failed", reason, place);
          }
        });
        return thread;
      }
      /** @param reason why it has ended, if it is {@link PoolThread.broken} */
      #tellStopped({ id, broken }, reason) {
        if (broken && this.watchers.size === 0) {
          (0, report_cjs_1.reportError)(`worker ${id} had to be stopped before it was done`, reason);
        }
        this.#notify({ type: "stopped", workerId: id, ...broken && { reason } });
      }
      #replace(thread, type, reason, place) {
        const { failures } = place;
        place.failures++;
        if (place.failures >= CRASH_LOOP)
          this.#failing.add(place);
        this.#tellFailing();
        const longest = this.#hurried && this.#running.size === 0 ? FIRST_PAUSE : LONGEST_PAUSE;
        const pause = failures === 0 ? 0 : Math.min(longest, FIRST_PAUSE * 2 ** (failures - 1));
        const launch = () => {
          this.#pauses.delete(timer);
          this.#launch(place);
        };
        const timer = setTimeout(launch, pause);
        timer.unref?.();
        this.#pauses.set(timer, launch);
        if (this.watchers.size === 0) {
          (0, report_cjs_1.reportError)(`worker ${thread.id} ${type}; starting another in ${pause} ms`, reason);
        }
        const untoldClients = load_cjs_1.native.clientsLeftBy(thread.id);
        this.#notify({
          type,
          workerId: thread.id,
          reason,
          ...untoldClients > 0 && { untoldClients }
        });
      }
      #isStable(place) {
        place.failures = 0;
        this.#failing.delete(place);
        this.#tellFailing();
      }
      #tellFailing() {
        load_cjs_1.native.setWorkersFail(this.#failing.size > 0);
      }
      #notify(event) {
        notifyWatchers(this.watchers.values(), event);
      }
    };
    exports2.Pool = Pool;
    function notifyWatchers(watchers, event) {
      for (const watcher of watchers) {
        try {
          watcher(event);
        } catch (error) {
          (0, report_cjs_1.reportError)("onWorker failed", error);
        }
      }
    }
  }
});

// server/abort.cjs
var require_abort = __commonJS({
  "server/abort.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.throwIfAborted = throwIfAborted;
    exports2.unlessAborted = unlessAborted;
    function throwIfAborted(signal) {
      if (signal.aborted)
        throw signal.reason;
    }
    async function unlessAborted(signal, promise) {
      throwIfAborted(signal);
      let onAbort = () => void 0;
      const aborted = new Promise((resolve) => {
        onAbort = resolve;
        signal.addEventListener("abort", onAbort);
      });
      try {
        const result = await Promise.race([promise, aborted]);
        throwIfAborted(signal);
        return result;
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    }
  }
});

// server/keep-alive.cjs
var require_keep_alive = __commonJS({
  "server/keep-alive.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.servers = void 0;
    exports2.keepingAlive = keepingAlive;
    exports2.hasTasks = hasTasks;
    exports2.updateKeepAlive = updateKeepAlive;
    exports2.servers = /* @__PURE__ */ new Map();
    var tasks = 0;
    var timer;
    async function keepingAlive(task) {
      tasks++;
      updateKeepAlive();
      try {
        return await task();
      } finally {
        tasks--;
        updateKeepAlive();
      }
    }
    function hasTasks() {
      return tasks > 0;
    }
    function updateKeepAlive() {
      if (tasks > 0 || [...exports2.servers.values()].some(({ keepsAlive }) => keepsAlive)) {
        timer ??= setInterval(() => void 0, 2 ** 30);
      } else {
        clearInterval(timer);
        timer = void 0;
      }
    }
  }
});

// server/drain.cjs
var require_drain2 = __commonJS({
  "server/drain.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.drainAll = drainAll;
    var async_scope_cjs_1 = require_async_scope();
    var load_cjs_1 = require_load();
    var report_cjs_1 = require_report();
    var keep_alive_cjs_1 = require_keep_alive();
    function drainAll(options, onProgress) {
      if (onProgress === void 0)
        return (0, keep_alive_cjs_1.keepingAlive)(() => load_cjs_1.native.drainBroker(options));
      const call = (0, async_scope_cjs_1.inScopeHere)(onProgress);
      let last;
      let over = false;
      const tell = (progress) => {
        if (over)
          return;
        last = progress;
        try {
          call(progress);
        } catch (error) {
          (0, report_cjs_1.reportError)("the onProgress of drain threw", error);
        }
      };
      return (0, keep_alive_cjs_1.keepingAlive)(async () => {
        const report = await load_cjs_1.native.drainBroker(options, tell);
        const { closed, cut } = report;
        if (last?.open !== 0 || last.closed !== closed || last.cut !== cut)
          tell({ open: 0, closed, cut });
        over = true;
        return report;
      });
    }
  }
});

// server/http-server.cjs
var require_http_server = __commonJS({
  "server/http-server.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.openInnerServer = openInnerServer;
    var node_fs_1 = require("node:fs");
    var node_path_1 = require("node:path");
    var node_util_1 = require("node:util");
    var builtins_cjs_1 = require_builtins();
    var fetch_response_cjs_1 = require_fetch_response();
    var http_cjs_1 = require_http();
    var report_cjs_1 = require_report();
    var HEADER = "x-wsbroker-client";
    var REQUEST_EVENTS = [
      "request",
      "checkContinue",
      "checkExpectation",
      "upgrade",
      "connect"
    ];
    var LONGEST_SOCKET_PATH = 103;
    var MAX_HEADER_SIZE = 2 ** 21;
    var BACKLOG = 4096;
    var CLOSE_TIMEOUT = 500;
    async function openInnerServer(target) {
      if (target.kind === "address") {
        return { forward: target.forward, identity: void 0, close: () => Promise.resolve() };
      }
      const server = target.kind === "server" ? target.server : ownServer(target.handle);
      (0, http_cjs_1.checkNotListening)("start", server);
      const secret = builtins_cjs_1.builtins.crypto.randomBytes(24).toString("hex");
      const stopGuarding = guard(server, secret);
      const sockets = /* @__PURE__ */ new Set();
      const onConnection = (socket) => {
        if (typeof socket.unref === "function")
          socket.unref();
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket));
      };
      server.on("connection", onConnection);
      const place = privateAddress();
      const restore = () => {
        server.off("connection", onConnection);
        stopGuarding();
        place.remove();
      };
      try {
        await listen(server, place.options);
      } catch (error) {
        restore();
        throw error;
      }
      server.unref();
      return {
        forward: place.forward ?? `http://127.0.0.1:${server.address().port}`,
        // Other runtimes may not keep the socket of a connection from one request to the next.
        identity: { name: HEADER, secret, once: process.versions["bun"] === void 0 },
        async close() {
          const closed = new Promise((resolve) => {
            setTimeout(resolve, CLOSE_TIMEOUT).unref();
            server.close(() => resolve());
          });
          server.closeAllConnections?.();
          for (const socket of sockets)
            socket.destroy();
          await closed;
          restore();
        }
      };
    }
    function ownServer(handle) {
      const server = builtins_cjs_1.builtins.http.createServer({ maxHeaderSize: MAX_HEADER_SIZE });
      server.on("request", (request, response) => {
        const result = Reflect.apply(handle, server, [request, response]);
        if (node_util_1.types.isPromise(result))
          void result.then((value) => refuseFetch(value, response));
        else
          refuseFetch(result, response);
      });
      server.keepAliveTimeout = 0;
      server.requestTimeout = 0;
      server.headersTimeout = 0;
      return server;
    }
    function refuseFetch(result, response) {
      if (result === void 0 || response.headersSent || !(0, fetch_response_cjs_1.isResponse)(result))
        return;
      (0, report_cjs_1.warnOnce)(`start: the function "http" has returned a Response of the Fetch API, which Node's HTTP server does not send, so clients get 500; ${http_cjs_1.FETCH_HINT}`);
      response.statusCode = 500;
      response.setHeader("content-type", "text/plain; charset=utf-8");
      response.end('the application has given a "fetch" function where a request listener is needed\n');
    }
    function privateAddress() {
      const shared = { exclusive: true, backlog: BACKLOG };
      const loopback = {
        options: { host: "127.0.0.1", port: 0, ...shared },
        forward: void 0,
        remove: () => void 0
      };
      if (process.platform === "win32")
        return loopback;
      const parent = builtins_cjs_1.builtins.os.tmpdir();
      if (Buffer.byteLength((0, node_path_1.join)(parent, "wsbroker-XXXXXX", "http")) > LONGEST_SOCKET_PATH) {
        return loopback;
      }
      const folder = (0, node_fs_1.mkdtempSync)((0, node_path_1.join)(parent, "wsbroker-"));
      const remove = () => {
        process.off("exit", remove);
        (0, node_fs_1.rmSync)(folder, { recursive: true, force: true });
      };
      process.on("exit", remove);
      const path = (0, node_path_1.join)(folder, "http");
      return { options: { path, ...shared }, forward: `unix:${path}`, remove };
    }
    function listen(server, options) {
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(options, () => {
          server.off("error", reject);
          resolve();
        });
      });
    }
    function guard(server, secret) {
      const expected = Buffer.from(secret);
      const emit = server.emit.bind(server);
      const identified = /* @__PURE__ */ new WeakMap();
      const guarded = (name, ...args) => {
        if (REQUEST_EVENTS.includes(name)) {
          const request = args[0];
          if (!identify(request, expected, identified)) {
            request.socket.destroy();
            return true;
          }
        }
        return emit(name, ...args);
      };
      server.emit = guarded;
      return () => {
        if (server.emit === guarded)
          delete server.emit;
      };
    }
    function identify(request, secret, identified) {
      const { socket, headers } = request;
      const header = headers[HEADER];
      const known = identified.get(socket);
      if (header === void 0)
        return known !== void 0;
      if (typeof header !== "string")
        return false;
      if (known !== header) {
        if (!showClient(socket, header, secret))
          return false;
        identified.set(socket, header);
      }
      delete headers[HEADER];
      const { rawHeaders } = request;
      for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
        if (rawHeaders[i]?.toLowerCase() === HEADER)
          rawHeaders.splice(i, 2);
      }
      return true;
    }
    function showClient(socket, header, secret) {
      const [given = "", address = "-", port, scheme] = header.split(" ");
      const bytes = Buffer.from(given);
      if (bytes.length !== secret.length || !builtins_cjs_1.builtins.crypto.timingSafeEqual(bytes, secret))
        return false;
      const remoteAddress = address === "-" ? void 0 : address;
      const family = remoteAddress?.includes(":") === true ? "IPv6" : "IPv4";
      show(socket, {
        remoteAddress,
        remoteFamily: remoteAddress === void 0 ? void 0 : family,
        remotePort: remoteAddress === void 0 ? void 0 : Number(port),
        encrypted: scheme === "secure"
      });
      return true;
    }
    function show(socket, shown) {
      for (const [name, value] of Object.entries(shown)) {
        Object.defineProperty(socket, name, { value, configurable: true, enumerable: true });
      }
    }
  }
});

// merged:native/copies.cjs
var require_copies = __commonJS({
  "merged:native/copies.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("native/copies.cjs");
  }
});

// merged:worker/dispatch.cjs
var require_dispatch = __commonJS({
  "merged:worker/dispatch.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("worker/dispatch.cjs");
  }
});

// worker/module-file.cjs
var require_module_file = __commonJS({
  "worker/module-file.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.findModuleFile = findModuleFile;
    var node_fs_1 = require("node:fs");
    var node_module_1 = require("node:module");
    var node_path_1 = require("node:path");
    var errors_cjs_1 = require_errors();
    var EXTENSIONS = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"];
    function findModuleFile(path) {
      const file = (0, node_path_1.resolve)(path);
      if (isFile(file))
        return file;
      try {
        return (0, node_module_1.createRequire)((0, node_path_1.join)(process.cwd(), "x.js")).resolve(file);
      } catch {
        throw notFound(path);
      }
    }
    function notFound(path) {
      const file = (0, node_path_1.resolve)(path);
      const found = similarFiles(file, path).map((one) => JSON.stringify(one));
      const similar = found.length === 0 ? "" : `; did you mean ${found.join(" or ")}?`;
      const message = `start: "workerPath" must name a module, but there is no file ${file}${similar}`;
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_WORKER_NOT_FOUND", (0, node_path_1.isAbsolute)(path) ? message : `${message}${similar === "" ? ";" : ""} ${aboutRelative(path)}`);
    }
    function aboutRelative(path) {
      const url = `new URL('./${(0, node_path_1.basename)(path)}', import.meta.url)`;
      return `a relative path starts from process.cwd(), which is ${process.cwd()}; ${url} starts from the module that contains it`;
    }
    function similarFiles(file, path) {
      const index = isFolder(file) ? sameStem((0, node_path_1.join)(file, "index")) : [];
      const nearby = [...sameStem(file), ...index];
      const program = process.argv[1];
      if (nearby.length > 0 || (0, node_path_1.isAbsolute)(path) || program === void 0)
        return nearby;
      const nextToProgram = (0, node_path_1.resolve)((0, node_path_1.dirname)(program), path);
      return isFile(nextToProgram) ? [nextToProgram] : sameStem(nextToProgram);
    }
    function sameStem(file) {
      const { dir, name, base } = (0, node_path_1.parse)(file);
      const stems = /* @__PURE__ */ new Set([base, EXTENSIONS.includes((0, node_path_1.extname)(base)) ? name : base]);
      try {
        return (0, node_fs_1.readdirSync)(dir).filter((one) => EXTENSIONS.includes((0, node_path_1.extname)(one)) && stems.has((0, node_path_1.parse)(one).name)).map((one) => (0, node_path_1.join)(dir, one));
      } catch {
        return [];
      }
    }
    function isFile(file) {
      return (0, node_fs_1.statSync)(file, { throwIfNoEntry: false })?.isFile() === true;
    }
    function isFolder(file) {
      return (0, node_fs_1.statSync)(file, { throwIfNoEntry: false })?.isDirectory() === true;
    }
  }
});

// merged:worker/register.cjs
var require_register = __commonJS({
  "merged:worker/register.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("worker/register.cjs");
  }
});

// server/server-object.cjs
var require_server_object = __commonJS({
  "server/server-object.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.createServer = createServer;
    var errors_cjs_1 = require_errors();
    var load_cjs_1 = require_load();
    var redis_cjs_1 = require_redis();
    var tls_cjs_1 = require_tls();
    var report_cjs_1 = require_report();
    var keep_alive_cjs_1 = require_keep_alive();
    function createServer({ listener, location, signal, ...parts }) {
      let { tls } = parts;
      let closing;
      let reloaded = Promise.resolve();
      const closeInner = () => parts.inner?.close() ?? Promise.resolve();
      const close = async () => {
        if (!keep_alive_cjs_1.servers.has(listener))
          return;
        forgetSignal();
        await load_cjs_1.native.closeListener(listener);
        await closeInner();
        keep_alive_cjs_1.servers.delete(listener);
      };
      const reload = async (given) => {
        if (tls === void 0) {
          throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_TLS", 'reloadTls: the server was started without "tls"');
        }
        const next = given ?? tls;
        const pem = await (0, tls_cjs_1.readTls)("reloadTls", next);
        if (closing !== void 0 || !keep_alive_cjs_1.servers.has(listener)) {
          throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_TLS", "reloadTls: the server is closed");
        }
        try {
          load_cjs_1.native.reloadTls(listener, pem);
        } catch (error) {
          throw (0, errors_cjs_1.fromNative)(error);
        }
        tls = next;
      };
      const setKeepsAlive = (keepsAlive) => {
        const listening = keep_alive_cjs_1.servers.get(listener);
        if (listening !== void 0)
          listening.keepsAlive = keepsAlive;
        (0, keep_alive_cjs_1.updateKeepAlive)();
        return self;
      };
      const self = {
        ...location,
        close: () => closing ??= (0, keep_alive_cjs_1.keepingAlive)(close),
        ref: () => setKeepsAlive(true),
        unref: () => setKeepsAlive(false),
        // Node before 18.18 does not have this symbol.
        ...Symbol.asyncDispose !== void 0 && {
          [Symbol.asyncDispose]: () => self.close()
        },
        async reloadTls(options) {
          const given = options === void 0 ? void 0 : (0, tls_cjs_1.checkTlsOptions)("reloadTls", options);
          const result = reloaded.then(() => reload(given));
          reloaded = result.catch(() => void 0);
          return result;
        },
        async reloadBus(redis) {
          const next = (0, redis_cjs_1.checkRedisOptions)("reloadBus", "redis", redis);
          try {
            await load_cjs_1.native.reloadCluster(next);
          } catch (error) {
            throw (0, errors_cjs_1.fromNative)(error);
          }
          parts.busReloaded(next);
        }
      };
      const onAbort = () => void self.close().catch((error) => (0, report_cjs_1.reportError)("the server did not close after its signal was aborted", error));
      const forgetSignal = () => signal?.removeEventListener("abort", onAbort);
      signal?.addEventListener("abort", onAbort);
      keep_alive_cjs_1.servers.set(listener, { keepsAlive: true, forgetSignal, closeInner });
      return self;
    }
  }
});

// merged:worker/load-errors.cjs
var require_load_errors = __commonJS({
  "merged:worker/load-errors.cjs"(exports2, module2) {
    module2.exports = require("./merged.cjs")("worker/load-errors.cjs");
  }
});

// server/workers.cjs
var require_workers = __commonJS({
  "server/workers.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.hasWorkers = hasWorkers;
    exports2.currentPool = currentPool;
    exports2.forgetWorkers = forgetWorkers;
    exports2.checkWorkers = checkWorkers;
    exports2.startWorkers = startWorkers;
    exports2.explain = explain;
    var errors_cjs_1 = require_errors();
    var load_cjs_1 = require_load();
    var advice_cjs_1 = require_advice();
    var threads_cjs_1 = require_threads();
    var pool_cjs_1 = require_pool();
    var report_cjs_1 = require_report();
    var load_errors_cjs_1 = require_load_errors();
    var modules_cjs_1 = require_modules();
    var register_cjs_1 = require_register();
    var abort_cjs_1 = require_abort();
    var workers;
    function hasWorkers() {
      return workers !== void 0;
    }
    function currentPool() {
      return workers !== void 0 && "pool" in workers ? workers.pool : void 0;
    }
    function forgetWorkers() {
      workers = void 0;
    }
    function checkWorkers(file, threads, given) {
      if (given !== void 0 && workers !== void 0) {
        if (!("pool" in workers && (0, threads_cjs_1.sameThreadOptions)(workers.pool.given, given))) {
          throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_CONFLICT", 'start: "worker" applies to the whole process, and an earlier start gave other values; ' + advice_cjs_1.START_OVER);
        }
      }
      if (given !== void 0 && workers === void 0 && file === void 0) {
        throw new errors_cjs_1.WSBrokerRangeError('start: "worker" requires "workerPath", the module that the worker threads load');
      }
      if (file === void 0) {
        if (workers !== void 0 || (0, register_cjs_1.currentRegistration)() !== void 0 || load_cjs_1.native.workerCount() > 0) {
          return;
        }
        throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_NO_WORKER", 'start: "workerPath" is missing, and no worker is registered; pass "workerPath", the module with your handlers, or call registerWorkerThread with them first');
      }
      if (workers === void 0) {
        if (threads !== 0 || (0, register_cjs_1.currentRegistration)() === void 0)
          return;
        throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_CONFLICT", 'start: "threads" is 0, but this thread has already registered handlers; leave out "workerPath" to use those, or "threads" to start worker threads');
      }
      const loaded = "pool" in workers ? workers.pool.file : workers.file;
      if (loaded !== file)
        throw (0, advice_cjs_1.conflictWithEarlier)("workerPath", loaded, file);
      const running = "pool" in workers ? workers.pool.threads : 0;
      if (threads !== void 0 && threads !== running) {
        throw (0, advice_cjs_1.conflictWithEarlier)("threads", running, threads);
      }
    }
    async function startWorkers(file, options, { signal, watchers, undo, undoTimeout }) {
      const { threads } = options.process;
      try {
        await (0, abort_cjs_1.unlessAborted)(signal, (0, register_cjs_1.currentRegistration)()?.ready ?? Promise.resolve());
        if (file === void 0 || workers !== void 0)
          return;
        if (threads === 0) {
          const loading = (0, modules_cjs_1.loadWorker)(file, options.startTimeout);
          const stopWhenLoaded = () => void loading.then((late) => late.stop(undoTimeout()), () => void 0);
          undo.push(stopWhenLoaded);
          workers = { file, registration: await (0, abort_cjs_1.unlessAborted)(signal, loading) };
        } else {
          const count = threads ?? Math.max(4, load_cjs_1.native.brokerDefaults().cpus);
          const given = options.threads ?? threads_cjs_1.NO_THREAD_OPTIONS;
          const pool = new pool_cjs_1.Pool(file, count, given, watchers, options.startTimeout);
          undo.push(() => pool.stop(undoTimeout()));
          await (0, abort_cjs_1.unlessAborted)(signal, pool.start());
          workers = { pool };
        }
        undo.push(forgetWorkers);
      } catch (error) {
        throw await explain(file, error, signal);
      }
    }
    async function explain(file, error, signal) {
      const refused = (0, threads_cjs_1.explainThreadError)(error);
      if (refused !== error || signal.aborted && error === signal.reason)
        return refused;
      const own = error instanceof errors_cjs_1.WSBrokerError ? error.cause : error;
      const more = file === void 0 ? "" : await (0, abort_cjs_1.unlessAborted)(signal, (0, load_errors_cjs_1.explainLoadError)(file, own)).catch(() => "");
      if (error instanceof errors_cjs_1.WSBrokerError && error.code === "ERR_WSBROKER_WORKER_FAILED") {
        error.message += more;
        return error;
      }
      const message = error?.message;
      const what = typeof message === "string" ? message : (0, report_cjs_1.errorText)(error);
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_WORKER_FAILED", `start: worker ${file ?? "of this thread"} failed to load: ${what}${more}`, { cause: error });
    }
  }
});

// server/lifecycle.cjs
var require_lifecycle = __commonJS({
  "server/lifecycle.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.startServer = startServer;
    exports2.shutdownAll = shutdownAll;
    exports2.shutdownHere = shutdownHere;
    exports2.untilNextShutdown = untilNextShutdown;
    exports2.inTurn = inTurn;
    var node_util_1 = require("node:util");
    var node_worker_threads_1 = require("node:worker_threads");
    var async_scope_cjs_1 = require_async_scope();
    var clock_cjs_1 = require_clock();
    var errors_cjs_1 = require_errors();
    var copies_cjs_1 = require_copies();
    var join_cluster_cjs_1 = require_join_cluster();
    var load_cjs_1 = require_load();
    var advice_cjs_1 = require_advice();
    var process_cjs_1 = require_process();
    var tls_cjs_1 = require_tls();
    var pool_cjs_1 = require_pool();
    var report_cjs_1 = require_report();
    var dispatch_cjs_1 = require_dispatch();
    var module_file_cjs_1 = require_module_file();
    var register_cjs_1 = require_register();
    var abort_cjs_1 = require_abort();
    var keep_alive_cjs_1 = require_keep_alive();
    var http_server_cjs_1 = require_http_server();
    var server_object_cjs_1 = require_server_object();
    var workers_cjs_1 = require_workers();
    var BUS_TIMEOUT = 1e4;
    var UNDO_TIMEOUT = 5e3;
    var LEAST_FOR_WORKERS = 100;
    var MOST_FOR_WORKERS = 1e3;
    var watchers = /* @__PURE__ */ new Map();
    var processOptions;
    var joined;
    var untilShutdown = new AbortController();
    var nextDeadline = Infinity;
    var lastTask = Promise.resolve();
    function startServer(request) {
      if (register_cjs_1.thread.inPool && request.workerPath !== void 0) {
        throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_IN_WORKER", 'start: a worker module cannot start workers; it is loaded in every worker thread, so call start with "workerPath" in another module, which your program runs');
      }
      const file = request.workerPath === void 0 ? void 0 : (0, module_file_cjs_1.findModuleFile)(request.workerPath);
      let begun = false;
      return withSignals(request.signal, (signal) => {
        const started = inTurn(() => {
          begun = true;
          return start(request, file, signal);
        });
        const early = new Promise((_, reject) => signal.addEventListener("abort", () => !begun && reject(signal.reason)));
        return Promise.race([started, early]);
      });
    }
    async function withSignals(own, begin) {
      const isAborted = () => own?.aborted === true;
      if (isAborted())
        throw own?.reason;
      const either = new AbortController();
      const onShutdown = () => either.abort(new errors_cjs_1.WSBrokerError("ERR_WSBROKER_SHUT_DOWN", "start: shutdown was called before the server was ready"));
      const onAbort = () => either.abort(own?.reason);
      const { signal: shut } = untilShutdown;
      shut.addEventListener("abort", onShutdown);
      own?.addEventListener("abort", onAbort);
      try {
        const server = await begin(either.signal);
        if (isAborted()) {
          await server.close();
          throw own?.reason;
        }
        return server;
      } finally {
        shut.removeEventListener("abort", onShutdown);
        own?.removeEventListener("abort", onAbort);
      }
    }
    function shutdownAll(code, timeout) {
      if (register_cjs_1.thread.inPool) {
        throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_IN_WORKER", "shutdown: a worker of the pool cannot shut down; call shutdown on the thread that called start");
      }
      const others = (0, copies_cjs_1.otherActiveCopies)();
      return others.length === 0 ? shutdownHere(code, timeout) : (0, keep_alive_cjs_1.keepingAlive)(() => shutdownCopies([...others, { shutdown: shutdownHere }], code, timeout));
    }
    (0, copies_cjs_1.setCopyLifecycle)({
      isActive: () => (0, keep_alive_cjs_1.hasTasks)() || keep_alive_cjs_1.servers.size > 0 || (0, workers_cjs_1.hasWorkers)() || processOptions !== void 0 || joined !== void 0 || (0, register_cjs_1.currentRegistration)() !== void 0,
      shutdown: shutdownHere
    });
    function shutdownHere(code, timeout) {
      const deadline = (0, clock_cjs_1.now)() + timeout;
      nextDeadline = Math.min(nextDeadline, deadline);
      untilShutdown.abort();
      untilShutdown = new AbortController();
      return inTurn(() => shutdown(code, timeout, deadline));
    }
    async function shutdownCopies(copies, code, timeout) {
      const deadline = (0, clock_cjs_1.now)() + timeout;
      const all = { closed: 0, terminated: 0 };
      for (const copy of copies) {
        const { closed, terminated } = await copy.shutdown(code, Math.max(0, Math.floor(deadline - (0, clock_cjs_1.now)())));
        all.closed += closed;
        all.terminated += terminated;
      }
      return all;
    }
    async function start(request, file, signal) {
      const undo = [];
      let listened = false;
      try {
        (0, abort_cjs_1.throwIfAborted)(signal);
        const options = mergeProcessOptions(request.process);
        if (file !== void 0 || request.listener.paths.length > 0) {
          (0, workers_cjs_1.checkWorkers)(file, request.process.threads, request.threads);
        }
        if (processOptions === void 0) {
          processOptions = options;
          undo.push(() => processOptions = void 0);
        }
        const { onWorker } = request;
        if (onWorker !== void 0 && !watchers.has(onWorker)) {
          watchers.set(onWorker, (0, async_scope_cjs_1.inScopeHere)(onWorker));
          undo.push(() => watchers.delete(onWorker));
        }
        if (request.cluster !== void 0 && !isJoined(request.cluster)) {
          (0, join_cluster_cjs_1.joinCluster)(request.cluster);
          joined = request.cluster;
          undo.push(async () => {
            if (await load_cjs_1.native.leaveCluster())
              joined = void 0;
          });
        }
        const tls = request.tls === void 0 ? void 0 : await (0, abort_cjs_1.unlessAborted)(signal, (0, tls_cjs_1.readTls)("start", request.tls));
        const target = request.http?.target;
        let inner;
        if (target !== void 0) {
          const opened = inner = await (0, http_server_cjs_1.openInnerServer)(target);
          undo.push(() => opened.close());
        }
        (0, abort_cjs_1.throwIfAborted)(signal);
        listened = true;
        if (!node_worker_threads_1.isMainThread)
          load_cjs_1.native.endWithThread();
        const listener = await listen({
          ...request.listener,
          tls,
          http: request.http && {
            ...request.http.native,
            forward: inner?.forward,
            identity: inner?.identity
          },
          process: (0, process_cjs_1.toNativeProcessOptions)(options)
        });
        undo.push(() => load_cjs_1.native.closeListener(listener));
        (0, abort_cjs_1.throwIfAborted)(signal);
        if (request.cluster?.required === true) {
          await (0, abort_cjs_1.unlessAborted)(signal, (0, join_cluster_cjs_1.busReady)(BUS_TIMEOUT));
          load_cjs_1.native.requireCluster();
        }
        await (0, workers_cjs_1.startWorkers)(file, request, { signal, watchers, undo, undoTimeout });
        load_cjs_1.native.watchWorkers(watchStuckWorkers);
        if (Object.keys(request.process).some((name) => name.startsWith("watchdog."))) {
          load_cjs_1.native.watchIdleWorkers();
        }
        const location = load_cjs_1.native.listenerAddress(listener);
        load_cjs_1.native.serve(listener);
        return (0, server_object_cjs_1.createServer)({
          listener,
          location,
          inner,
          tls: request.tls,
          signal: request.signal,
          busReloaded: (redis) => {
            if (joined !== void 0)
              joined = { ...joined, native: { ...joined.native, redis } };
          }
        });
      } catch (error) {
        for (const step of undo.reverse())
          await attempt(step);
        if (listened)
          await attempt(dropUnusedBroker);
        throw error;
      }
    }
    async function listen(options) {
      try {
        return await load_cjs_1.native.listen(options);
      } catch (error) {
        throw (0, advice_cjs_1.explainBindError)((0, errors_cjs_1.fromNative)(error), options.bind, options.reusePort);
      }
    }
    async function attempt(step) {
      try {
        await step();
      } catch {
      }
    }
    async function shutdown(code, timeout, deadline) {
      const left = () => Math.max(0, deadline - (0, clock_cjs_1.now)());
      const pool = (0, workers_cjs_1.currentPool)();
      pool?.hurry();
      const forWorkers = Math.max(LEAST_FOR_WORKERS, Math.min(MOST_FOR_WORKERS, timeout / 8));
      const { closed, terminated } = await load_cjs_1.native.shutdownBroker(code, Math.max(0, left() - forWorkers), pool !== void 0);
      await load_cjs_1.native.leaveCluster();
      const inner = [...keep_alive_cjs_1.servers.values()].map(({ closeInner }) => closeInner());
      for (const { forgetSignal } of keep_alive_cjs_1.servers.values())
        forgetSignal();
      keep_alive_cjs_1.servers.clear();
      const rest = Math.max(LEAST_FOR_WORKERS, left());
      await Promise.all([pool?.stop(rest), (0, register_cjs_1.currentRegistration)()?.stop(rest), ...inner]);
      (0, workers_cjs_1.forgetWorkers)();
      processOptions = void 0;
      joined = void 0;
      nextDeadline = Infinity;
      load_cjs_1.native.watchWorkers();
      watchers.clear();
      return { closed, terminated };
    }
    function undoTimeout() {
      return Math.max(LEAST_FOR_WORKERS, Math.min(UNDO_TIMEOUT, nextDeadline - (0, clock_cjs_1.now)()));
    }
    function watchStuckWorkers({ thread: workerId, duration, kind, socketId }) {
      const handler = kind === void 0 ? void 0 : dispatch_cjs_1.HANDLER_OF_EVENT[kind];
      const at = handler === void 0 ? "something on its thread, not necessarily a handler, does not return" : `${handler} of socket ${socketId} does not return`;
      const reason = new errors_cjs_1.WSBrokerError("ERR_WSBROKER_WORKER_STUCK", `worker ${workerId} has not returned to its event loop for ${duration / 1e3} s: ${at}; new connections go to other workers, if there are any`);
      if (watchers.size === 0)
        (0, report_cjs_1.reportError)(`worker ${workerId} is stuck`, reason.message);
      (0, pool_cjs_1.notifyWatchers)(watchers.values(), {
        type: "stuck",
        workerId,
        reason,
        duration,
        ...handler !== void 0 && { handler },
        ...handler !== void 0 && socketId !== void 0 && { socketId }
      });
      if (processOptions?.["watchdog.action"] === "replace") {
        void (0, workers_cjs_1.currentPool)()?.replaceStuck(workerId, reason);
      }
    }
    function mergeProcessOptions({ threads: _, ...given }) {
      if (processOptions === void 0)
        return (0, process_cjs_1.processOptionsWith)(load_cjs_1.native, given, false);
      for (const [name, value] of Object.entries(given)) {
        const before = processOptions[name];
        if (!(0, node_util_1.isDeepStrictEqual)(value, before))
          throw (0, advice_cjs_1.conflictWithEarlier)(name, before, value);
      }
      return processOptions;
    }
    function isJoined({ native: options, onBus }) {
      return joined !== void 0 && joined.onBus === onBus && (0, node_util_1.isDeepStrictEqual)(joined.native, options);
    }
    async function dropUnusedBroker() {
      if (keep_alive_cjs_1.servers.size > 0 || processOptions !== void 0 || (0, register_cjs_1.currentRegistration)() !== void 0 || load_cjs_1.native.workerCount() > 0 || load_cjs_1.native.instanceCount() > 0) {
        return;
      }
      await load_cjs_1.native.shutdownBroker(1001, 0);
    }
    function untilNextShutdown() {
      return untilShutdown.signal;
    }
    function inTurn(task) {
      const result = (0, keep_alive_cjs_1.keepingAlive)(() => lastTask.then(task));
      lastTask = result.catch(() => void 0);
      return result;
    }
  }
});

// server/reload.cjs
var require_reload2 = __commonJS({
  "server/reload.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.reload = reload;
    var errors_cjs_1 = require_errors();
    var load_cjs_1 = require_load();
    var module_file_cjs_1 = require_module_file();
    var register_cjs_1 = require_register();
    var abort_cjs_1 = require_abort();
    var keep_alive_cjs_1 = require_keep_alive();
    var lifecycle_cjs_1 = require_lifecycle();
    var workers_cjs_1 = require_workers();
    var lastReload = Promise.resolve();
    function reload(request) {
      if (register_cjs_1.thread.inPool) {
        throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_IN_WORKER", "reloadWorkers: a worker of the pool cannot reload the workers; call reloadWorkers on the thread that called start");
      }
      const file = request.workerPath === void 0 ? void 0 : (0, module_file_cjs_1.findModuleFile)(request.workerPath);
      const shut = (0, lifecycle_cjs_1.untilNextShutdown)();
      const report = (0, keep_alive_cjs_1.keepingAlive)(async () => {
        await lastReload;
        const { left } = await (0, lifecycle_cjs_1.inTurn)(() => takeOver(request, file, shut));
        return await left;
      });
      lastReload = report.catch(() => void 0);
      return report;
    }
    async function takeOver({ threads, timeout }, given, shut) {
      if (shut.aborted)
        throw shutDownError();
      const pool = (0, workers_cjs_1.currentPool)();
      if (pool === void 0)
        throw noPool();
      const file = given ?? pool.file;
      const shutdown = new AbortController();
      const onShutdown = () => shutdown.abort(shutDownError());
      shut.addEventListener("abort", onShutdown);
      try {
        return await pool.takeOver(file, threads ?? pool.threads, timeout, (ready) => (0, abort_cjs_1.unlessAborted)(shutdown.signal, ready));
      } catch (error) {
        throw await (0, workers_cjs_1.explain)(file, error, shutdown.signal);
      } finally {
        shut.removeEventListener("abort", onShutdown);
      }
    }
    function shutDownError() {
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_SHUT_DOWN", "reloadWorkers: shutdown was called before the new workers were ready");
    }
    function noPool() {
      if ((0, register_cjs_1.currentRegistration)() !== void 0 || load_cjs_1.native.workerCount() > 0) {
        return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_CONFLICT", "reloadWorkers: the workers are not threads of the pool, but of the application (threads: 0 or registerWorkerThread), and only those of the pool can be reloaded");
      }
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_NO_WORKER", "reloadWorkers: there are no workers; call it after start, on the same thread");
    }
  }
});

// server/watch.cjs
var require_watch = __commonJS({
  "server/watch.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.watchModules = watchModules;
    var node_fs_1 = require("node:fs");
    var node_path_1 = require("node:path");
    var report_cjs_1 = require_report();
    var reload_cjs_1 = require_reload2();
    var workers_cjs_1 = require_workers();
    var QUIET = 100;
    var RELOAD_TIMEOUT = 5e3;
    var watched;
    function watchModules() {
      const pool = (0, workers_cjs_1.currentPool)();
      const imports = pool?.imports;
      if (pool === void 0 || imports === void 0 || watched === pool)
        return;
      watched = pool;
      const files = new WatchedFiles((changed) => reloadFor(changed));
      files.add(pool.file);
      for (const file of imports.files)
        files.add(file);
      imports.onFile = (file) => files.add(file);
      pool.onStopped = () => {
        files.close();
        imports.close();
      };
    }
    async function reloadFor(changed) {
      const names = changed.map((file) => (0, node_path_1.basename)(file)).join(", ");
      try {
        const { started } = await (0, reload_cjs_1.reload)({
          workerPath: void 0,
          threads: void 0,
          timeout: RELOAD_TIMEOUT
        });
        const workers = started === 1 ? "1 worker has" : `${started} workers have`;
        process.stderr.write(`wsbroker: ${names} changed; ${workers} the new code
`);
      } catch (error) {
        (0, report_cjs_1.reportError)(`${names} changed, but the new code does not load; the old workers keep running`, error);
      }
    }
    var WatchedFiles = class {
      #stamps = /* @__PURE__ */ new Map();
      #folders = /* @__PURE__ */ new Map();
      #onChange;
      #timer;
      #busy = false;
      /** @param onChange not called again before its promise has resolved */
      constructor(onChange) {
        this.#onChange = onChange;
      }
      add(file) {
        if (this.#stamps.has(file))
          return;
        this.#stamps.set(file, stamp(file));
        const folder = (0, node_path_1.dirname)(file);
        if (this.#folders.has(folder))
          return;
        try {
          const watcher = (0, node_fs_1.watch)(folder, { persistent: false }, () => this.#look());
          watcher.on("error", (error) => (0, report_cjs_1.reportError)(`${folder} can no longer be watched`, error));
          this.#folders.set(folder, watcher);
        } catch (error) {
          (0, report_cjs_1.reportError)(`${folder} cannot be watched`, error);
        }
      }
      close() {
        clearTimeout(this.#timer);
        for (const watcher of this.#folders.values())
          watcher.close();
        this.#folders.clear();
      }
      #look() {
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => void this.#changed(), QUIET);
        this.#timer.unref?.();
      }
      async #changed() {
        if (this.#busy)
          return this.#look();
        const changed = [...this.#stamps].filter(([file, before]) => {
          const now = stamp(file);
          if (now === before || now === "")
            return false;
          this.#stamps.set(file, now);
          return true;
        });
        if (changed.length === 0)
          return;
        this.#busy = true;
        await this.#onChange(changed.map(([file]) => file));
        this.#busy = false;
      }
    };
    function stamp(file) {
      const stats = (0, node_fs_1.statSync)(file, { throwIfNoEntry: false });
      return stats === void 0 ? "" : `${stats.mtimeMs} ${stats.size} ${stats.ino}`;
    }
  }
});

// server/serving.cjs
var require_serving = __commonJS({
  "server/serving.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.shutdownHere = void 0;
    exports2.start = start;
    exports2.joinCluster = joinCluster;
    exports2.shutdown = shutdown;
    exports2.drain = drain;
    exports2.reloadWorkers = reloadWorkers;
    var cluster_cjs_1 = require_cluster();
    var drain_cjs_1 = require_drain();
    var reload_cjs_1 = require_reload();
    var start_cjs_1 = require_start();
    var join_cluster_cjs_1 = require_join_cluster();
    var drain_cjs_2 = require_drain2();
    var lifecycle_cjs_1 = require_lifecycle();
    Object.defineProperty(exports2, "shutdownHere", { enumerable: true, get: function() {
      return lifecycle_cjs_1.shutdownHere;
    } });
    var reload_cjs_2 = require_reload2();
    var watch_cjs_1 = require_watch();
    async function start(options) {
      const server = await (0, lifecycle_cjs_1.startServer)((0, start_cjs_1.checkStartOptions)(options));
      (0, watch_cjs_1.watchModules)();
      return server;
    }
    function joinCluster(options) {
      const known = ["redis", "prefix", "instanceId", "maxOutgoing", "onBus"];
      (0, join_cluster_cjs_1.joinCluster)((0, cluster_cjs_1.checkClusterOptions)("joinCluster", "options", options, known));
    }
    async function shutdown(options) {
      const { code, timeout } = (0, start_cjs_1.checkShutdownOptions)(options);
      return (0, lifecycle_cjs_1.shutdownAll)(code, timeout);
    }
    async function drain(options) {
      const { native: checked, onProgress } = (0, drain_cjs_1.checkDrainOptions)(options);
      return (0, drain_cjs_2.drainAll)(checked, onProgress);
    }
    async function reloadWorkers(options) {
      return (0, reload_cjs_2.reload)((0, reload_cjs_1.checkReloadOptions)(options));
    }
  }
});

// merged-serving.cjs
var modules = {
  __proto__: null,
  "fetch-response.cjs": () => require_fetch_response(),
  "native/join-cluster.cjs": () => require_join_cluster(),
  "options/cluster.cjs": () => require_cluster(),
  "options/drain.cjs": () => require_drain(),
  "options/http.cjs": () => require_http(),
  "options/process.cjs": () => require_process(),
  "options/redis.cjs": () => require_redis(),
  "options/reload.cjs": () => require_reload(),
  "options/start.cjs": () => require_start(),
  "options/threads.cjs": () => require_threads(),
  "options/tls.cjs": () => require_tls(),
  "pool/import-reports.cjs": () => require_import_reports(),
  "pool/pool-thread.cjs": () => require_pool_thread(),
  "pool/pool.cjs": () => require_pool(),
  "pool/thread-file.cjs": () => require_thread_file(),
  "server/abort.cjs": () => require_abort(),
  "server/drain.cjs": () => require_drain2(),
  "server/http-server.cjs": () => require_http_server(),
  "server/keep-alive.cjs": () => require_keep_alive(),
  "server/lifecycle.cjs": () => require_lifecycle(),
  "server/reload.cjs": () => require_reload2(),
  "server/server-object.cjs": () => require_server_object(),
  "server/serving.cjs": () => require_serving(),
  "server/watch.cjs": () => require_watch(),
  "server/workers.cjs": () => require_workers(),
  "worker/module-file.cjs": () => require_module_file()
};
module.exports = (file) => modules[file]();
