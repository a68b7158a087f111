// Made by scripts/compile.mjs from the modules that it names. Do not edit.
var __getOwnPropNames = Object.getOwnPropertyNames;
var __commonJS = (cb, mod) => function __require() {
  try {
    return mod || (0, cb[__getOwnPropNames(cb)[0]])((mod = { exports: {} }).exports, mod), mod.exports;
  } catch (e) {
    throw mod = 0, e;
  }
};

// async-scope.cjs
var require_async_scope = __commonJS({
  "async-scope.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.scopeHere = scopeHere;
    exports2.inScopeHere = inScopeHere;
    exports2.onceInScopeHere = onceInScopeHere;
    var node_async_hooks_1 = require("node:async_hooks");
    var NAME = "WSBROKER";
    var enter = node_async_hooks_1.AsyncResource.prototype.runInAsyncScope;
    function scopeHere() {
      if (process.versions["bun"] !== void 0)
        return bunScope();
      return "_enable" in node_async_hooks_1.AsyncLocalStorage.prototype ? new ResourceScope() : new FrameScope(NAME);
    }
    function inScopeHere(fn) {
      return scopeHere().bound(fn, void 0);
    }
    function onceInScopeHere(fn) {
      if (process.versions["bun"] !== void 0) {
        const inside = node_async_hooks_1.AsyncLocalStorage.snapshot();
        return () => inside(fn);
      }
      const here = new node_async_hooks_1.AsyncResource(NAME);
      return () => here.runInAsyncScope(fn);
    }
    var FrameScope = class extends node_async_hooks_1.AsyncResource {
      bound(fn, self) {
        return enter.bind(this, fn, self);
      }
      batch(run, ...args) {
        run(...args);
      }
    };
    FrameScope.prototype.call = enter;
    function bunScope() {
      const inside = node_async_hooks_1.AsyncLocalStorage.snapshot();
      return {
        bound: (fn, self) => inside.bind(void 0, fn.bind(self)),
        call: (fn, self, ...args) => inside(fn.bind(self), ...args),
        batch: (run, ...args) => run(...args)
      };
    }
    var IDS = ["async_id_symbol", "trigger_async_id_symbol"];
    var ResourceScope = class {
      /** New contexts are made in this one. No function of the application runs in it. */
      #root = new node_async_hooks_1.AsyncResource(NAME);
      #shared;
      #changed = false;
      /** The context of the current batch. */
      #in;
      constructor() {
        const resource = new node_async_hooks_1.AsyncResource(NAME);
        const watched = new Proxy(resource, {
          set: (_, key, value, receiver) => {
            this.#changed = true;
            return Reflect.defineProperty(receiver, key, {
              value,
              configurable: true,
              enumerable: true,
              writable: true
            });
          }
        });
        const numbers = Object.getOwnPropertySymbols(resource).filter((key) => IDS.includes(String(key.description)));
        this.#shared = Object.create(watched, Object.fromEntries(numbers.map((key) => [key, Object.getOwnPropertyDescriptor(resource, key)])));
      }
      bound(fn, self) {
        return (...args) => this.call(fn, self, ...args);
      }
      call(fn, self, ...args) {
        if (!this.#changed) {
          return this.#in === void 0 ? enter.call(this.#shared, fn, self, ...args) : Reflect.apply(fn, self, args);
        }
        const own = this.#in === this.#root ? newResource() : this.#root.runInAsyncScope(newResource);
        return own.runInAsyncScope(fn, self, ...args);
      }
      batch(run, ...args) {
        this.#in = this.#changed ? this.#root : this.#shared;
        try {
          enter.call(this.#in, run, void 0, ...args);
        } finally {
          this.#in = void 0;
        }
      }
    };
    var newResource = () => new node_async_hooks_1.AsyncResource(NAME);
  }
});

// errors.cjs
var require_errors = __commonJS({
  "errors.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.WSBrokerRangeError = exports2.WSBrokerTypeError = exports2.WSBrokerError = void 0;
    exports2.fromNative = fromNative;
    exports2.toPortable = toPortable;
    exports2.fromPortable = fromPortable;
    var node_util_1 = require("node:util");
    var WSBrokerError = class extends Error {
      name = "WSBrokerError";
      code;
      constructor(code, message, options) {
        super(message, options);
        this.code = code;
      }
      /** By code, so that the `TypeError`s and the addon's own errors count, too. */
      static [Symbol.hasInstance](value) {
        if (!isOfAll(this))
          return Function.prototype[Symbol.hasInstance].call(this, value);
        return isError(value) && String(value.code).startsWith("ERR_WSBROKER_");
      }
    };
    exports2.WSBrokerError = WSBrokerError;
    function isOfAll(errors) {
      return errors === WSBrokerError;
    }
    var WSBrokerTypeError = class extends TypeError {
      code = "ERR_WSBROKER_INVALID_ARG_TYPE";
    };
    exports2.WSBrokerTypeError = WSBrokerTypeError;
    var WSBrokerRangeError = class extends RangeError {
      code = "ERR_WSBROKER_INVALID_ARG_VALUE";
    };
    exports2.WSBrokerRangeError = WSBrokerRangeError;
    function isError(value) {
      return value instanceof Error || node_util_1.types.isNativeError(value);
    }
    function fromNative(error) {
      const { code, message, syscallCode } = error;
      if (typeof code !== "string" || !code.startsWith("ERR_WSBROKER_"))
        return error;
      if (code === "ERR_WSBROKER_INVALID_ARG_VALUE")
        return new WSBrokerRangeError(String(message));
      if (code === "ERR_WSBROKER_INVALID_ARG_TYPE")
        return new WSBrokerTypeError(String(message));
      const ours = new WSBrokerError(code, String(message));
      return syscallCode === void 0 ? ours : Object.assign(ours, { syscallCode });
    }
    var BUILT_IN = {
      EvalError,
      RangeError,
      ReferenceError,
      SyntaxError,
      TypeError,
      URIError
    };
    function toPortable(error, depth = 0) {
      try {
        if (!isError(error)) {
          return {
            message: typeof error === "string" ? error : (0, node_util_1.inspect)(error, { depth: 1 }),
            plain: true
          };
        }
        const { name, message, stack, code, cause } = error;
        return {
          name: String(name),
          message: String(message),
          ...typeof stack === "string" && { stack },
          ...(typeof code === "string" || typeof code === "number") && { code },
          ...cause !== void 0 && depth < 8 && { cause: toPortable(cause, depth + 1) }
        };
      } catch {
        return { message: "an error that cannot be read", plain: true };
      }
    }
    function fromPortable(portable) {
      if (portable.plain)
        return portable.message;
      const { name = "Error", message, stack, code, cause } = portable;
      const options = cause === void 0 ? void 0 : { cause: fromPortable(cause) };
      const BuiltIn = Object.hasOwn(BUILT_IN, name) ? BUILT_IN[name] : void 0;
      const error = BuiltIn === void 0 ? new Error(message, options) : new BuiltIn(message, options);
      const hidden = { configurable: true, writable: true, enumerable: false };
      if (error.name !== name)
        Object.defineProperty(error, "name", { ...hidden, value: name });
      if (stack !== void 0)
        Object.defineProperty(error, "stack", { ...hidden, value: stack });
      return code === void 0 ? error : Object.assign(error, { code });
    }
  }
});

// package-folders.cjs
var require_package_folders = __commonJS({
  "package-folders.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.ROOT = exports2.LIB = void 0;
    var node_path_1 = require("node:path");
    exports2.LIB = typeof __dirname === "string" ? __dirname : (0, node_path_1.dirname)(process.argv[1] ?? process.execPath);
    exports2.ROOT = (0, node_path_1.dirname)(exports2.LIB);
  }
});

// report.cjs
var require_report = __commonJS({
  "report.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.warnings = void 0;
    exports2.errorText = errorText;
    exports2.reportError = reportError;
    exports2.warnOnce = warnOnce;
    exports2.reportHandlerError = reportHandlerError;
    var node_util_1 = require("node:util");
    function errorText(error) {
      try {
        return typeof error === "string" ? error : (0, node_util_1.inspect)(error);
      } catch {
        return "an error that cannot be shown";
      }
    }
    function reportError(what, error) {
      try {
        process.stderr.write(`wsbroker: ${what}: ${errorText(error)}
`);
      } catch {
      }
    }
    exports2.warnings = {
      emit: (text) => process.emitWarning(text, { type: "WSBrokerWarning" })
    };
    var emitted = globalThis[/* @__PURE__ */ Symbol.for("wsbroker.warnings")] ??= /* @__PURE__ */ new Set();
    function warnOnce(text) {
      if (emitted.has(text))
        return;
      emitted.add(text);
      exports2.warnings.emit(text);
    }
    function reportHandlerError(error, { handler, socketId }) {
      reportError(socketId === void 0 ? `${handler} failed` : `${handler} failed for socket ${socketId}`, error);
    }
  }
});

// native/copies.cjs
var require_copies = __commonJS({
  "native/copies.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.registry = void 0;
    exports2.enterPool = enterPool;
    exports2.isInPool = isInPool;
    exports2.registerCopy = registerCopy;
    exports2.checkSameCopy = checkSameCopy;
    exports2.setCopyLifecycle = setCopyLifecycle;
    exports2.otherActiveCopies = otherActiveCopies;
    var node_fs_1 = require("node:fs");
    var node_path_1 = require("node:path");
    var node_worker_threads_1 = require("node:worker_threads");
    var errors_cjs_1 = require_errors();
    var package_folders_cjs_1 = require_package_folders();
    var report_cjs_1 = require_report();
    var packages = require("./native/packages.cjs");
    var KEY = "wsbroker.copies";
    var FOLDER = realFolder();
    exports2.registry = globalThis[Symbol.for(KEY)] ??= { copies: [] };
    function enterPool(warn) {
      exports2.registry.pool = FOLDER;
      exports2.registry.warn = warn;
    }
    function isInPool() {
      return exports2.registry.pool !== void 0;
    }
    function registerCopy(addon) {
      const other = exports2.registry.copies.find(({ folder }) => folder !== FOLDER) ?? copyOfParentThread();
      if (other !== void 0 && other.folder !== FOLDER) {
        const apart = other.addon !== addon;
        if (exports2.registry.pool !== void 0 && exports2.registry.pool !== FOLDER && apart)
          throw otherCopyError();
        if (exports2.registry.warned !== true) {
          exports2.registry.warned = true;
          const harm = apart ? "sockets and channels of one are unknown to the other, and what is sent to them is lost" : "handlers and options of one are unknown to the other";
          (exports2.registry.warn ?? report_cjs_1.warnOnce)(`two copies of wsbroker are loaded, ${[other.folder, FOLDER].sort().join(" and ")}: ${harm}. Make all packages depend on the same version; "npm ls ${packages.name}" shows which package depends on which copy`);
        }
      }
      if (copyOfParentThread() === void 0 && exports2.registry.pool === void 0) {
        (0, node_worker_threads_1.setEnvironmentData)(KEY, { folder: FOLDER, addon });
      }
      self = {
        folder: FOLDER,
        addon,
        isActive: () => lifecycle.isActive(),
        shutdown: (code, timeout) => lifecycle.shutdown(code, timeout)
      };
      exports2.registry.copies = [
        ...exports2.registry.copies.filter((one) => one.folder !== FOLDER || one.isActive()),
        self
      ];
    }
    function checkSameCopy() {
      if (exports2.registry.pool !== void 0 && exports2.registry.pool !== FOLDER)
        throw otherCopyError();
    }
    function otherCopyError() {
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_CONFLICT", `this worker belongs to the wsbroker in ${exports2.registry.pool}, but its module imports another copy, in ${FOLDER}: its handlers would never be called. Make both use the same copy; "npm ls ${packages.name}" shows which package depends on which copy`);
    }
    function copyOfParentThread() {
      return exports2.registry.pool === void 0 ? (0, node_worker_threads_1.getEnvironmentData)(KEY) : void 0;
    }
    var self;
    var lifecycle = {
      isActive: () => false,
      shutdown: async () => ({ closed: 0, terminated: 0 })
    };
    function setCopyLifecycle(own) {
      lifecycle = own;
    }
    function otherActiveCopies() {
      return exports2.registry.copies.filter((one) => one !== self && one.isActive());
    }
    function realFolder() {
      try {
        return (0, node_path_1.dirname)((0, node_fs_1.realpathSync)(package_folders_cjs_1.LIB));
      } catch {
        return package_folders_cjs_1.ROOT;
      }
    }
  }
});

// native/target.cjs
var require_target = __commonJS({
  "native/target.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.platformTarget = platformTarget;
    var node_fs_1 = require("node:fs");
    function platformTarget() {
      const { platform, arch } = process;
      switch (platform) {
        case "linux":
          return `linux-${arch}-${isMusl() ? "musl" : "gnu"}${arch === "arm" ? "eabihf" : ""}`;
        case "win32":
          return `win32-${arch}-msvc`;
        default:
          return `${platform}-${arch}`;
      }
    }
    function isMusl() {
      try {
        const ldd = (0, node_fs_1.readFileSync)("/usr/bin/ldd", "latin1");
        if (ldd.includes("musl"))
          return true;
        if (/GNU C Library|GLIBC/i.test(ldd))
          return false;
      } catch {
      }
      try {
        return (0, node_fs_1.readdirSync)("/lib").some((name) => name.startsWith("ld-musl-"));
      } catch {
        return false;
      }
    }
  }
});

// native/vm-context.cjs
var require_vm_context = __commonJS({
  "native/vm-context.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.withErrorsOfThisContext = withErrorsOfThisContext;
    var node_util_1 = require("node:util");
    var errors_cjs_1 = require_errors();
    function withErrorsOfThisContext(addon) {
      if (addon.send instanceof Function)
        return addon;
      const handler = {
        apply: (target, self, args) => translated(() => Reflect.apply(target, self, args)),
        construct: (target, args) => translated(() => new Proxy(Reflect.construct(target, args), methods))
      };
      const entries = Object.entries(addon);
      return Object.fromEntries(entries.map(([name, value]) => [
        name,
        typeof value === "function" ? new Proxy(value, handler) : value
      ]));
    }
    var methods = {
      get(target, name) {
        const value = Reflect.get(target, name, target);
        return typeof value === "function" ? (...args) => translated(() => Reflect.apply(value, target, args)) : value;
      }
    };
    function translated(call) {
      try {
        const result = call();
        return node_util_1.types.isPromise(result) ? Promise.resolve(result).catch(rethrow) : result;
      } catch (error) {
        return rethrow(error);
      }
    }
    function rethrow(error) {
      throw error instanceof Error ? error : (0, errors_cjs_1.fromNative)(error);
    }
  }
});

// native/load.cjs
var require_load = __commonJS({
  "native/load.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.native = void 0;
    var node_fs_1 = require("node:fs");
    var node_path_1 = require("node:path");
    var node_util_1 = require("node:util");
    var errors_cjs_1 = require_errors();
    var package_folders_cjs_1 = require_package_folders();
    var copies_cjs_1 = require_copies();
    var packages = require("./native/packages.cjs");
    var target_cjs_1 = require_target();
    var vm_context_cjs_1 = require_vm_context();
    var { permission } = process;
    var { addon, file } = load();
    exports2.native = (0, vm_context_cjs_1.withErrorsOfThisContext)(addon);
    (0, copies_cjs_1.registerCopy)(file);
    var { nextTick } = process;
    exports2.native.init(() => nextTick(exports2.native.settle), process.versions["bun"] === void 0 ? void 0 : node_util_1.types.isSharedArrayBuffer);
    function load() {
      const target = (0, target_cjs_1.platformTarget)();
      const source = packages.addons[target];
      const failures = { tried: [], errors: [] };
      const named = process.env["WSBROKER_BINARY"] || void 0;
      const found2 = named !== void 0 ? fromFile((0, node_path_1.resolve)(named), failures) : builtHere((0, node_path_1.join)(package_folders_cjs_1.LIB, `wsbroker.${target}.node`), source, failures) ?? fromPackage(source, failures);
      if (found2 !== void 0)
        return found2;
      const cause = failures.errors[0];
      const tried = failures.tried.map((line) => `  - ${line}
`).join("");
      throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_BINARY", `no addon for ${target} could be loaded. Tried:
${tried}${advice(target, named, failures)}`, cause === void 0 ? void 0 : { cause });
    }
    function fromFile(path, failures) {
      if (mayBeRead(path, failures)) {
        if ((0, node_fs_1.existsSync)(path))
          return found(attempt(path), path, path, failures);
        failures.tried.push(`${path}: no such file`);
      }
      return void 0;
    }
    function builtHere(path, source, failures) {
      if (source === void 0)
        return fromFile(path, failures);
      if (!mayBeRead(path, failures))
        return void 0;
      const result = source.built();
      if ("error" in result && codeOf(result.error) === "MODULE_NOT_FOUND" && !(0, node_fs_1.existsSync)(path)) {
        failures.tried.push(`${path}: no such file`);
        return void 0;
      }
      return found(result, path, path, failures);
    }
    function fromPackage(source, failures) {
      const { package: name, installed, manifest } = source ?? {};
      if (name === void 0 || installed === void 0 || manifest === void 0) {
        failures.tried.push(`no package for this platform is named by ${packages.name}`);
        return void 0;
      }
      const its = manifest();
      if ("error" in its)
        return found(its, name, `package ${name}`, failures);
      const version = String(its.value?.version);
      if (version === packages.version) {
        return found(installed(), resolved(name) ?? name, `package ${name}`, failures);
      }
      failures.otherVersion = version;
      failures.tried.push(`package ${name}: its version is ${version}, that of ${packages.name} is ${packages.version}`);
      return void 0;
    }
    function mayBeRead(path, failures) {
      if (permission?.has("fs.read", path) !== false)
        return true;
      failures.tried.push(`${path}: Node's permission model does not permit reading it`);
      return false;
    }
    function attempt(path) {
      try {
        return { value: require(path) };
      } catch (error) {
        if (codeOf(error) !== "ERR_UNKNOWN_BUILTIN_MODULE")
          return { error };
      }
      try {
        const module3 = { exports: {} };
        process.dlopen(module3, path);
        return { value: module3.exports };
      } catch (error) {
        return { error };
      }
    }
    function found(result, file2, what, failures) {
      if ("value" in result)
        return { addon: result.value, file: file2 };
      const missing = codeOf(result.error) === "MODULE_NOT_FOUND";
      if (!missing)
        failures.errors.push(result.error);
      failures.tried.push(`${what}: ${missing ? "not installed" : firstLine(result.error)}`);
      return void 0;
    }
    function resolved(name) {
      try {
        return require.resolve(name);
      } catch {
        return void 0;
      }
    }
    function advice(target, named, { tried, errors, otherVersion }) {
      const codes = errors.map(codeOf);
      if (permission !== void 0 && (codes.includes("ERR_DLOPEN_DISABLED") || codes.includes("ERR_ACCESS_DENIED") || tried.some((line) => line.includes("permission model")))) {
        const folder = (0, node_path_1.basename)((0, node_path_1.dirname)(package_folders_cjs_1.ROOT)) === "node_modules" ? (0, node_path_1.dirname)(package_folders_cjs_1.ROOT) : package_folders_cjs_1.ROOT;
        return `Node's permission model forbids loading it. Run node with --allow-addons, --allow-fs-read=${(0, node_path_1.join)(folder, "*")} and, for worker threads, --allow-worker, in addition to what your own modules need`;
      }
      if (codes.includes("ERR_DLOPEN_DISABLED")) {
        return "wsbroker needs its addon, but --no-addons forbids addons: run Node without that flag, which may also be set in NODE_OPTIONS";
      }
      if (named !== void 0) {
        return "The environment variable WSBROKER_BINARY names the only file that is tried: correct it, or unset it";
      }
      const { name, version, addons } = packages;
      const bun = process.versions["bun"] !== void 0;
      if (otherVersion !== void 0) {
        return `${name} and its package for this platform must have the same version. Run: ${bun ? "bun add" : "npm install"} ${name}@${version}
If that does not help, delete node_modules and the lock file, and install again`;
      }
      const own = addons[target]?.package;
      if (own !== void 0 && errors.length === 0) {
        const other = Object.values(addons).map((source) => source?.package).find((one) => one !== void 0 && resolved(`${one}/package.json`) !== void 0);
        const why = other === void 0 ? `${own} is an optional dependency of ${name}, and optional dependencies were not installed (--omit=optional, --no-optional, or a lock file that was made on another platform)` : `node_modules holds ${other} instead: it was installed on or for another platform`;
        return `${why}. Run here: ${bun ? "bun install" : "npm install --include=optional"}
If that does not install it, delete node_modules and the lock file, and install again`;
      }
      return `To build it from source (needs Rust, https://rustup.rs), run:
  ${buildCommand()}`;
    }
    function buildCommand() {
      const script = JSON.stringify((0, node_path_1.join)(package_folders_cjs_1.ROOT, "scripts", "build.mjs"));
      return (0, node_fs_1.existsSync)((0, node_path_1.join)(package_folders_cjs_1.ROOT, ".git")) ? `npm --prefix ${JSON.stringify(package_folders_cjs_1.ROOT)} run build` : `${process.versions["bun"] === void 0 ? "node" : "bun"} ${script}`;
    }
    function codeOf(error) {
      return error?.code;
    }
    function firstLine(error) {
      return String(error?.message ?? error).split("\n", 1)[0] ?? "";
    }
  }
});

// logger.cjs
var require_logger = __commonJS({
  "logger.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.useLogger = useLogger;
    var async_scope_cjs_1 = require_async_scope();
    var load_cjs_1 = require_load();
    var report_cjs_1 = require_report();
    function useLogger(logger, level) {
      if (logger === void 0) {
        load_cjs_1.native.setLogger(level);
        return;
      }
      const call = (0, async_scope_cjs_1.inScopeHere)(logger);
      let threw = false;
      load_cjs_1.native.setLogger(level, (record) => {
        try {
          call(record);
        } catch (error) {
          if (!threw)
            (0, report_cjs_1.reportError)("the logger threw, which is reported once", error);
          threw = true;
        }
      });
    }
  }
});

// options/checks.cjs
var require_checks = __commonJS({
  "options/checks.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.SENDABLE_CODES = exports2.MAX_SIZE = exports2.MAX_DURATION = void 0;
    exports2.knownKeys = knownKeys;
    exports2.integer = integer;
    exports2.duration = duration;
    exports2.oneOf = oneOf;
    exports2.optional = optional;
    exports2.strings = strings;
    exports2.isHttpToken = isHttpToken;
    exports2.isSendableCode = isSendableCode;
    exports2.wrongType = wrongType;
    exports2.wrongValue = wrongValue;
    exports2.typeName = typeName;
    exports2.mostSimilar = mostSimilar;
    exports2.editDistance = editDistance;
    var errors_cjs_1 = require_errors();
    exports2.MAX_DURATION = 2 ** 31 - 1;
    exports2.MAX_SIZE = 2 ** 31 - 1;
    function knownKeys(call, name, value, known, hints = {}, expected = "an object") {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw wrongType(call, name, expected, value);
      }
      for (const key of Object.keys(value)) {
        if (known.includes(key))
          continue;
        const near = mostSimilar(key, known);
        const where = name === "options" ? "" : ` in "${name}"`;
        const hint = Object.hasOwn(hints, key) ? hints[key] : near === void 0 ? `known options: ${known.join(", ")}` : `did you mean "${near}"?`;
        throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_UNKNOWN_OPTION", `${call}: unknown option "${key}"${where}; ${hint}`);
      }
      return value;
    }
    function integer(call, name, value, from, to, unit) {
      if (value === void 0)
        return void 0;
      if (typeof value !== "number") {
        throw wrongType(call, name, unit === void 0 ? "a number" : `a number of ${unit}`, value);
      }
      if (!Number.isInteger(value) || value < from || value > to) {
        const range = `an integer from ${from} to ${to}`;
        throw wrongValue(call, name, unit === void 0 ? range : `${range} ${unit}`, value);
      }
      return value;
    }
    function duration(call, name, value, from) {
      return integer(call, name, value, from, exports2.MAX_DURATION, "milliseconds");
    }
    function oneOf(call, name, value, allowed) {
      if (value === void 0)
        return void 0;
      if (typeof value !== "string")
        throw wrongType(call, name, "a string", value);
      if (!allowed.includes(value)) {
        throw wrongValue(call, name, alternatives(allowed), value);
      }
      return value;
    }
    function alternatives(allowed) {
      const quoted = allowed.map((one) => `'${one}'`);
      const last = quoted.pop();
      return quoted.length === 0 ? `${last}` : `${quoted.join(", ")} or ${last}`;
    }
    function optional(call, name, value, type) {
      if (value !== void 0 && typeof value !== type)
        throw wrongType(call, name, `a ${type}`, value);
      return value;
    }
    function strings(call, name, value, expected) {
      if (!Array.isArray(value))
        throw wrongType(call, name, expected, value);
      const odd = value.findIndex((one) => typeof one !== "string");
      if (odd !== -1)
        throw wrongType(call, `${name}[${odd}]`, "a string", value[odd]);
      return value;
    }
    function isHttpToken(text) {
      return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
    }
    function isSendableCode(code) {
      return code >= 1e3 && code <= 1003 || code >= 1007 && code <= 1014 || code >= 3e3 && code <= 4999;
    }
    function wrongType(call, name, expected, value) {
      return new errors_cjs_1.WSBrokerTypeError(`${call}: "${name}" must be ${expected}, got ${typeName(value)}`);
    }
    function wrongValue(call, name, expected, value) {
      const shown = typeof value === "number" ? String(value) : `'${value.length > 100 ? `${value.slice(0, 100)}\u2026` : value}'`;
      return new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must be ${expected}, got ${shown}`);
    }
    function typeName(value) {
      if (value === null)
        return "null";
      if (Array.isArray(value))
        return "an array";
      return typeof value === "object" ? "an object" : typeof value;
    }
    function mostSimilar(name, known, maxDistance = Math.max(2, Math.floor(name.length / 3))) {
      let best;
      let least = maxDistance + 1;
      for (const candidate of known) {
        const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
        if (distance < least)
          [best, least] = [candidate, distance];
      }
      return best;
    }
    function editDistance(a, b) {
      if (a.length > 64)
        return a.length;
      let before = [];
      let row = Array.from({ length: b.length + 1 }, (_, i) => i);
      for (let i = 1; i <= a.length; i++) {
        const next = [i];
        for (let j = 1; j <= b.length; j++) {
          let least = Math.min((next[j - 1] ?? 0) + 1, (row[j] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1));
          if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
            least = Math.min(least, (before[j - 2] ?? 0) + 1);
          }
          next.push(least);
        }
        [before, row] = [row, next];
      }
      return row[b.length] ?? 0;
    }
    exports2.SENDABLE_CODES = "a close code that may be sent (1000 to 1003, 1007 to 1014, 3000 to 4999)";
  }
});

// options/inspection.cjs
var require_inspection = __commonJS({
  "options/inspection.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.checkSocketId = checkSocketId;
    exports2.checkSlowSockets = checkSlowSockets;
    exports2.checkGetSockets = checkGetSockets;
    exports2.checkLogger = checkLogger;
    var checks_cjs_1 = require_checks();
    var LEVELS = ["error", "warn", "info", "debug", "trace"];
    function checkSocketId(call, socketId) {
      if (typeof socketId !== "number")
        throw (0, checks_cjs_1.wrongType)(call, "socketId", "a number", socketId);
      return socketId;
    }
    function checkSlowSockets(count) {
      return (0, checks_cjs_1.integer)("slowSockets", "n", count, 0, Number.MAX_SAFE_INTEGER) ?? 10;
    }
    function checkGetSockets(options) {
      const call = "getSockets";
      const bag = options === void 0 ? {} : (0, checks_cjs_1.knownKeys)(call, "options", options, ["after", "limit"]);
      const number = (name) => (0, checks_cjs_1.integer)(call, name, bag[name], 0, Number.MAX_SAFE_INTEGER);
      return { after: number("after") ?? 0, limit: number("limit") ?? Number.MAX_SAFE_INTEGER };
    }
    function checkLogger(logger, options) {
      const call = "setLogger";
      if (logger !== null && logger !== void 0 && typeof logger !== "function") {
        throw (0, checks_cjs_1.wrongType)(call, "logger", "a function or null", logger);
      }
      const bag = options === void 0 ? {} : (0, checks_cjs_1.knownKeys)(call, "options", options, ["level"]);
      return {
        logger: logger ?? void 0,
        level: (0, checks_cjs_1.oneOf)(call, "level", bag["level"], LEVELS) ?? "info"
      };
    }
  }
});

// api/observation.cjs
var require_observation = __commonJS({
  "api/observation.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.stats = exports2.connectionCount = void 0;
    exports2.metrics = metrics;
    exports2.setLogger = setLogger;
    var logger_cjs_1 = require_logger();
    var load_cjs_1 = require_load();
    var checks_cjs_1 = require_checks();
    var inspection_cjs_1 = require_inspection();
    exports2.connectionCount = load_cjs_1.native.connectionCount;
    exports2.stats = load_cjs_1.native.stats;
    function metrics(options = {}) {
      const bag = (0, checks_cjs_1.knownKeys)("metrics", "options", options, ["format"]);
      const format = (0, checks_cjs_1.oneOf)("metrics", "format", bag["format"], ["prometheus", "openmetrics"]);
      return load_cjs_1.native.metrics(format === "openmetrics");
    }
    function setLogger(logger, options) {
      const checked = (0, inspection_cjs_1.checkLogger)(logger, options);
      (0, logger_cjs_1.useLogger)(checked.logger, checked.level);
    }
  }
});

// options/channel-calls.cjs
var require_channel_calls = __commonJS({
  "options/channel-calls.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.channelBytes = channelBytes;
    exports2.bytesOf = bytesOf;
    exports2.checkSubscriberCount = checkSubscriberCount;
    exports2.checkCloseChannel = checkCloseChannel;
    var node_util_1 = require("node:util");
    var checks_cjs_1 = require_checks();
    function channelBytes(call, channel) {
      return bytesOf(call, "channel", channel);
    }
    function bytesOf(call, name, data) {
      if (typeof data === "string")
        return Buffer.from(data);
      if (node_util_1.types.isArrayBuffer(data))
        return Buffer.from(data);
      if (node_util_1.types.isUint8Array(data)) {
        return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      }
      throw (0, checks_cjs_1.wrongType)(call, name, "a string, ArrayBuffer or Uint8Array", data);
    }
    function checkSubscriberCount(channel, options) {
      const call = "subscriberCount";
      const bag = (0, checks_cjs_1.knownKeys)(call, "options", options, ["cluster", "timeout"]);
      const timeout = (0, checks_cjs_1.duration)(call, "timeout", bag["timeout"], 1) ?? 1e3;
      return (0, checks_cjs_1.optional)(call, "cluster", bag["cluster"], "boolean") === true ? { channel: channelBytes(call, channel), timeout } : void 0;
    }
    function checkCloseChannel(channel, code, reason, options) {
      const call = "closeChannel";
      const bag = (0, checks_cjs_1.knownKeys)(call, "options", options, ["cluster"]);
      if ((0, checks_cjs_1.optional)(call, "cluster", bag["cluster"], "boolean") !== true)
        return void 0;
      const given = (0, checks_cjs_1.integer)(call, "code", code, 1e3, 4999) ?? 1e3;
      if (!(0, checks_cjs_1.isSendableCode)(given))
        throw (0, checks_cjs_1.wrongValue)(call, "code", checks_cjs_1.SENDABLE_CODES, given);
      if (reason !== void 0 && typeof reason !== "string") {
        throw (0, checks_cjs_1.wrongType)(call, "reason", "a string", reason);
      }
      if (reason !== void 0 && Buffer.byteLength(reason) > 123) {
        throw (0, checks_cjs_1.wrongValue)(call, "reason", "at most 123 bytes", reason);
      }
      return { channel: channelBytes(call, channel), code: given, reason: reason ?? "" };
    }
  }
});

// options/history.cjs
var require_history = __commonJS({
  "options/history.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.checkHistory = checkHistory;
    exports2.checkSince = checkSince;
    exports2.checkRecover = checkRecover;
    exports2.checkQuery = checkQuery;
    exports2.checkDelete = checkDelete;
    var errors_cjs_1 = require_errors();
    var checks_cjs_1 = require_checks();
    var RULE_OPTIONS = ["channels", "size", "ttl", "maxBytes", "maxReplay", "framed"];
    var MAX_LIMIT = 1e5;
    var SINCE = { position: 0, latest: 1, now: 2 };
    function checkHistory(call, value) {
      if (value === void 0)
        return void 0;
      if (!Array.isArray(value))
        throw (0, checks_cjs_1.wrongType)(call, "history", "an array of objects", value);
      return value.map((one, i) => checkRule(call, `history[${i}]`, one));
    }
    function checkRule(call, name, value) {
      const bag = (0, checks_cjs_1.knownKeys)(call, name, value, RULE_OPTIONS);
      const number = (key, to, fallback) => (0, checks_cjs_1.integer)(call, `${name}.${key}`, bag[key], 1, to) ?? fallback;
      return {
        channels: channels(call, `${name}.channels`, bag["channels"]),
        size: number("size", checks_cjs_1.MAX_SIZE, 500),
        ttl: number("ttl", checks_cjs_1.MAX_DURATION, 3e5),
        maxBytes: number("maxBytes", checks_cjs_1.MAX_SIZE, 2 ** 20),
        maxReplay: number("maxReplay", checks_cjs_1.MAX_SIZE, 1e3),
        framed: (0, checks_cjs_1.optional)(call, `${name}.framed`, bag["framed"], "boolean") ?? true
      };
    }
    function channels(call, name, value) {
      const list = typeof value === "string" ? [value] : (0, checks_cjs_1.strings)(call, name, value, "a string or an array of strings");
      if (list.length === 0) {
        throw new errors_cjs_1.WSBrokerRangeError(`${call}: "${name}" must have at least one name, got none`);
      }
      const odd = list.find((one) => one.slice(0, -1).includes("*"));
      if (odd !== void 0) {
        throw (0, checks_cjs_1.wrongValue)(call, name, "names, or prefixes such as 'chat:*' with one '*' at the end", odd);
      }
      return [...new Set(list)];
    }
    function position(call, name, value, expected) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw (0, checks_cjs_1.wrongType)(call, name, expected, value);
      }
      const { offset, epoch } = value;
      if (typeof epoch !== "string")
        throw (0, checks_cjs_1.wrongType)(call, `${name}.epoch`, "a string", epoch);
      const checked = (0, checks_cjs_1.integer)(call, `${name}.offset`, offset, 0, Number.MAX_SAFE_INTEGER);
      if (checked === void 0)
        throw (0, checks_cjs_1.wrongType)(call, `${name}.offset`, "a number", offset);
      return { offset: checked, epoch };
    }
    function checkSince(call, since) {
      if (since === "latest" || since === "now")
        return [SINCE[since], 0, ""];
      const expected = "a position, 'latest' or 'now'";
      if (typeof since === "string")
        throw (0, checks_cjs_1.wrongValue)(call, "since", expected, since);
      const { offset, epoch } = position(call, "since", since, expected);
      return [SINCE.position, offset, epoch];
    }
    function checkRecover(call, options) {
      if (options === void 0)
        return false;
      const bag = (0, checks_cjs_1.knownKeys)(call, "options", options, ["orReject"]);
      return (0, checks_cjs_1.optional)(call, "orReject", bag["orReject"], "boolean") ?? false;
    }
    function checkQuery(call, query) {
      const bag = query === void 0 ? {} : (0, checks_cjs_1.knownKeys)(call, "options", query, ["since", "limit", "reverse"]);
      const since = bag["since"];
      const { offset, epoch } = since === void 0 ? { offset: -1, epoch: "" } : position(call, "since", since, "a position");
      return [
        offset,
        epoch,
        (0, checks_cjs_1.integer)(call, "limit", bag["limit"], 1, MAX_LIMIT) ?? 100,
        (0, checks_cjs_1.optional)(call, "reverse", bag["reverse"], "boolean") ?? false
      ];
    }
    function checkDelete(call, options) {
      if (options === void 0)
        return -1;
      const bag = (0, checks_cjs_1.knownKeys)(call, "options", options, ["before"]);
      return (0, checks_cjs_1.integer)(call, "before", bag["before"], 0, Number.MAX_SAFE_INTEGER) ?? -1;
    }
  }
});

// server/bus-receipt.cjs
var require_bus_receipt = __commonJS({
  "server/bus-receipt.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.receiptOf = receiptOf;
    exports2.storedOrThrow = storedOrThrow;
    var errors_cjs_1 = require_errors();
    var load_cjs_1 = require_load();
    async function receiptOf(ticket, subscribers) {
      const { duplicate, ...position } = storedOrThrow(await load_cjs_1.native.busReceipt(ticket));
      return { ...position, subscribers, ...duplicate && { duplicate } };
    }
    function storedOrThrow(receipt) {
      const { position, duplicate, reason, unknown } = receipt;
      if (position !== void 0 && position !== null) {
        return { ...position, ...duplicate ? { duplicate: true } : {} };
      }
      const stored = unknown ? "unknown" : false;
      const what = unknown ? "the message may be stored or not" : "the message is not stored";
      const error = new errors_cjs_1.WSBrokerError("ERR_WSBROKER_BUS_LOST", `publish: ${what}: ${reason}`);
      throw Object.assign(error, { stored });
    }
  }
});

// api/recovery.cjs
var require_recovery = __commonJS({
  "api/recovery.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.publish = publish;
    exports2.position = position;
    exports2.history = history;
    exports2.recover = recover;
    exports2.deleteHistory = deleteHistory;
    var load_cjs_1 = require_load();
    var channel_calls_cjs_1 = require_channel_calls();
    var history_cjs_1 = require_history();
    var inspection_cjs_1 = require_inspection();
    var bus_receipt_cjs_1 = require_bus_receipt();
    async function publish(channel, data, options) {
      const receipt = load_cjs_1.native.publishWithReceipt(channel, data, options);
      return receipt.ticket === void 0 ? receipt : (0, bus_receipt_cjs_1.receiptOf)(receipt.ticket, receipt.subscribers);
    }
    async function position(channel) {
      if (load_cjs_1.native.hasHistoryBus())
        return load_cjs_1.native.positionElsewhere((0, channel_calls_cjs_1.channelBytes)("position", channel));
      return load_cjs_1.native.historyPosition(channel);
    }
    async function history(channel, options) {
      const [offset, epoch, limit, reverse] = (0, history_cjs_1.checkQuery)("history", options);
      if (load_cjs_1.native.hasHistoryBus()) {
        const name = (0, channel_calls_cjs_1.channelBytes)("history", channel);
        return load_cjs_1.native.historyElsewhere(name, offset, epoch, limit, reverse);
      }
      return load_cjs_1.native.readHistory(channel, offset, epoch, limit, reverse);
    }
    async function recover(socketId, channel, since, options) {
      const [kind, offset, epoch] = (0, history_cjs_1.checkSince)("recover", since);
      const orReject = (0, history_cjs_1.checkRecover)("recover", options);
      if (load_cjs_1.native.hasHistoryBus()) {
        const id = (0, inspection_cjs_1.checkSocketId)("recover", socketId);
        const name = (0, channel_calls_cjs_1.channelBytes)("recover", channel);
        return load_cjs_1.native.recoverElsewhere(id, name, kind, offset, epoch, orReject);
      }
      return load_cjs_1.native.recoverSocket(socketId, channel, kind, offset, epoch, orReject);
    }
    async function deleteHistory(channel, options) {
      const before = (0, history_cjs_1.checkDelete)("deleteHistory", options);
      if (load_cjs_1.native.hasHistoryBus()) {
        return load_cjs_1.native.deleteHistoryElsewhere((0, channel_calls_cjs_1.channelBytes)("deleteHistory", channel), before);
      }
      load_cjs_1.native.deleteHistory(channel, before);
    }
  }
});

// api/sending.cjs
var require_sending = __commonJS({
  "api/sending.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.sendToAll = exports2.sendToChannel = exports2.send = void 0;
    var load_cjs_1 = require_load();
    exports2.send = load_cjs_1.native.send;
    exports2.sendToChannel = load_cjs_1.native.sendToChannel;
    exports2.sendToAll = load_cjs_1.native.sendToAll;
  }
});

// clock.cjs
var require_clock = __commonJS({
  "clock.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.now = now;
    function now() {
      const [seconds, nanoseconds] = process.hrtime();
      return seconds * 1e3 + nanoseconds / 1e6;
    }
  }
});

// options/advice.cjs
var require_advice = __commonJS({
  "options/advice.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.HELPER_OPTION_HINTS = exports2.OPTION_HINTS = exports2.START_OVER = void 0;
    exports2.exampleBind = exampleBind;
    exports2.explainBindError = explainBindError;
    exports2.withAdvice = withAdvice;
    exports2.conflictWithEarlier = conflictWithEarlier;
    var errors_cjs_1 = require_errors();
    exports2.START_OVER = 'to start over, for instance under "bun --hot", call "await shutdown()" first';
    var USE_BIND = `pass the address as "bind", such as bind: '127.0.0.1:8080'`;
    var USE_HTTP = `wsbroker listens on an address of its own: pass it as "bind", such as bind: '127.0.0.1:8080', and pass your server, before it listens, as "http" to have both on one port`;
    function ours(name, more = "") {
      return `wsbroker calls it "${name}"${more}`;
    }
    var OURS_TLS = ours("tls", ", such as tls: { cert: 'chain.pem', key: 'key.pem' }");
    var OURS_COMPRESSION = ours("perMessageDeflate");
    var OURS_BACKPRESSURE = ours("maxBackpressure", ", in bytes");
    var OURS_OVERFLOW = ours("overflow", ", which is 'close', 'dropNewest' or 'dropOldest'");
    var OURS_PAYLOAD = ours("maxPayload", ", in bytes");
    var OURS_PINGS = ours("pings", '; "pingInterval" says how often');
    var OURS_IDLE = ours("idleTimeout", ", in milliseconds");
    var OURS_CLUSTER = ours("cluster", ", such as cluster: { redis: 'redis://127.0.0.1:6379' }");
    var OURS_ORIGINS = ours("origins", ", such as origins: ['https://app.example']");
    var IN_HANDLE_OPEN = 'decide in "handleOpen", which may return false or { status: 401 }';
    var FOREIGN_OPTIONS = {
      cert: OURS_TLS,
      key: OURS_TLS,
      ssl: OURS_TLS,
      compression: OURS_COMPRESSION,
      compress: OURS_COMPRESSION,
      deflate: OURS_COMPRESSION,
      backpressureLimit: OURS_BACKPRESSURE,
      highWaterMark: OURS_BACKPRESSURE,
      closeOnBackpressureLimit: OURS_OVERFLOW,
      maxPayloadLength: OURS_PAYLOAD,
      maxHttpBufferSize: OURS_PAYLOAD,
      maxMessageSize: OURS_PAYLOAD,
      sendPings: OURS_PINGS,
      sendPingsAutomatically: OURS_PINGS,
      pingTimeout: OURS_IDLE,
      heartbeat: OURS_PINGS,
      heartbeatInterval: ours("pingInterval", ", in milliseconds"),
      redis: OURS_CLUSTER,
      adapter: OURS_CLUSTER,
      cors: OURS_ORIGINS,
      origin: OURS_ORIGINS,
      allowedOrigins: OURS_ORIGINS,
      workers: ours("threads", ", the number of worker threads"),
      subprotocols: ours("protocols"),
      handleProtocols: ours("protocols", '; or return { protocol } from "handleOpen"'),
      verifyClient: IN_HANDLE_OPEN,
      allowRequest: IN_HANDLE_OPEN,
      auth: IN_HANDLE_OPEN
    };
    var COMMON_HINTS = {
      port: USE_BIND,
      host: USE_BIND,
      hostname: USE_BIND,
      address: USE_BIND,
      listen: USE_BIND,
      url: USE_BIND
    };
    exports2.OPTION_HINTS = {
      ...COMMON_HINTS,
      ...FOREIGN_OPTIONS,
      server: USE_HTTP,
      httpServer: USE_HTTP,
      noServer: USE_HTTP,
      https: `${USE_HTTP}; for TLS use "tls"`
    };
    var START_BESIDE = 'a helper does not serve HTTP; pass this option to a call of start with the same "bind" and path: [], and call it before configure()';
    exports2.HELPER_OPTION_HINTS = {
      ...COMMON_HINTS,
      httpServer: START_BESIDE,
      noServer: START_BESIDE,
      https: START_BESIDE,
      http: START_BESIDE,
      answers: START_BESIDE,
      forwardUpgrades: START_BESIDE,
      keepAliveTimeout: START_BESIDE,
      requestTimeout: START_BESIDE,
      forwardTimeout: START_BESIDE,
      history: "rooms and users of a helper have no history; pass this option to start",
      maxHistoryMemory: "rooms and users of a helper have no history; pass this option to start"
    };
    function exampleBind(given) {
      const isPort = typeof given === "number" && Number.isInteger(given) && given >= 0 && given < 2 ** 16;
      const port = isPort ? given : 8080;
      return `a string such as '127.0.0.1:${port}', or '0.0.0.0:${port}' for all addresses`;
    }
    function explainBindError(error, bind, reusePort) {
      if (!(error instanceof errors_cjs_1.WSBrokerError))
        return error;
      if (error.code === "ERR_WSBROKER_CONFLICT")
        return withAdvice(error, exports2.START_OVER);
      if (error.code === "ERR_WSBROKER_INVALID_BIND") {
        const port = /^:?(\d{1,5})$/.exec(bind)?.[1];
        return port === void 0 ? error : withAdvice(error, `pass ${exampleBind(Number(port))}`);
      }
      if (bind.startsWith("unix:"))
        return error;
      const advice = adviceForSystemError(error.syscallCode, reusePort);
      return advice === void 0 ? error : withAdvice(error, advice);
    }
    function adviceForSystemError(code, reusePort) {
      switch (code) {
        case "EADDRINUSE":
          return reusePort ? 'another program is already listening there; every process that shares a port must set "reusePort", from its first "start" on' : 'another program is already listening there: end it, or choose another port; to share the port between processes (node:cluster, PM2), set "reusePort" in all of them';
        case "EADDRNOTAVAIL":
          return "this machine does not have that address; 0.0.0.0 means all that it has";
        case "EACCES":
          return "the system reserves that port, as Linux does those below 1024: choose a higher one, or grant the process CAP_NET_BIND_SERVICE";
        default:
          return void 0;
      }
    }
    function withAdvice(error, advice) {
      error.message += `; ${advice}`;
      return error;
    }
    function conflictWithEarlier(name, before, now) {
      const shown = (value) => typeof value === "object" ? JSON.stringify(value) : String(value);
      const was = before === void 0 ? "off" : shown(before);
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_CONFLICT", `start: "${name}" applies to the whole process and has been ${was} since an earlier start, got ${shown(now)}; ${exports2.START_OVER}`);
    }
  }
});

// promises.cjs
var require_promises = __commonJS({
  "promises.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.isFulfilled = void 0;
    exports2.isThenable = isThenable;
    exports2.within = within;
    function isThenable(value) {
      return value !== null && (typeof value === "object" || typeof value === "function") && typeof value.then === "function";
    }
    var peek = globalThis.Bun?.peek;
    exports2.isFulfilled = peek === void 0 ? () => false : (value) => value instanceof Promise && peek.status(value) === "fulfilled";
    async function within(timeout, promise) {
      let timer;
      const late = new Promise((resolve) => {
        timer = setTimeout(() => resolve(false), timeout);
      });
      try {
        return await Promise.race([promise.then(() => true), late]);
      } finally {
        clearTimeout(timer);
      }
    }
  }
});

// builtins.cjs
var require_builtins = __commonJS({
  "builtins.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.builtins = void 0;
    exports2.builtins = {
      get childProcess() {
        return require("node:child_process");
      },
      get crypto() {
        return require("node:crypto");
      },
      get http() {
        return require("node:http");
      },
      get https() {
        return require("node:https");
      },
      get net() {
        return require("node:net");
      },
      get os() {
        return require("node:os");
      },
      get tls() {
        return require("node:tls");
      }
    };
  }
});

// worker/measured.cjs
var require_measured = __commonJS({
  "worker/measured.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.untilNextMeasured = untilNextMeasured;
    var MEASURED = 64;
    function untilNextMeasured() {
      return 1 + Math.floor(Math.random() * (2 * MEASURED - 1));
    }
  }
});

// worker/pending-handlers.cjs
var require_pending_handlers = __commonJS({
  "worker/pending-handlers.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.PendingHandlers = exports2.PendingHandler = exports2.WaitingEvent = void 0;
    var WaitingEvent = class {
      kind;
      slot;
      data;
      number;
      token;
      epoch;
      next = void 0;
      constructor(kind, slot, data, number, token, epoch) {
        this.kind = kind;
        this.slot = slot;
        this.data = data;
        this.number = number;
        this.token = token;
        this.epoch = epoch;
      }
    };
    exports2.WaitingEvent = WaitingEvent;
    var PendingHandler = class {
      id = 0;
      kind = 0;
      slot = 0;
      /** Only for an open event: the subprotocols that the client offers. */
      offered = [];
      /** When its handler was called, if that is measured, in milliseconds; otherwise 0. */
      begun = 0;
      /** When it became pending, in ticks of the timer. */
      since = 0;
      /** Whether it is in the table: always in serial mode, otherwise only for open events. */
      serial = false;
      /** `handlerTimeout` has passed: another one has its slot and its waiting events. */
      expired = false;
      /** The next one in its bucket of the table. */
      nextInBucket = void 0;
      #head = void 0;
      #tail = void 0;
      // An object is used for one promise after another, so that a promise costs no new closures.
      resolved;
      rejected;
      constructor(done) {
        this.resolved = (value) => done(this, false, value);
        this.rejected = (error) => done(this, true, error);
      }
      push(event) {
        if (this.#tail === void 0)
          this.#head = event;
        else
          this.#tail.next = event;
        this.#tail = event;
      }
      shift() {
        const event = this.#head;
        if (event === void 0)
          return void 0;
        this.#head = event.next;
        if (this.#head === void 0)
          this.#tail = void 0;
        return event;
      }
      /** Moves the waiting events. */
      moveTo(successor) {
        successor.#head = this.#head;
        successor.#tail = this.#tail;
        this.clear();
      }
      clear() {
        this.#head = void 0;
        this.#tail = void 0;
      }
    };
    exports2.PendingHandler = PendingHandler;
    var PendingHandlers = class {
      size = 0;
      #buckets = new Array(256).fill(void 0);
      #mask = 255;
      find(id) {
        let handler = this.#buckets[id & this.#mask];
        while (handler !== void 0 && handler.id !== id)
          handler = handler.nextInBucket;
        return handler;
      }
      add(handler) {
        if (this.size > 2 * this.#mask)
          this.#grow();
        const bucket = handler.id & this.#mask;
        handler.nextInBucket = this.#buckets[bucket];
        this.#buckets[bucket] = handler;
        this.size++;
      }
      remove(handler) {
        const bucket = handler.id & this.#mask;
        let before;
        for (let one = this.#buckets[bucket]; one !== void 0; before = one, one = one.nextInBucket) {
          if (one !== handler)
            continue;
          if (before === void 0)
            this.#buckets[bucket] = handler.nextInBucket;
          else
            before.nextInBucket = handler.nextInBucket;
          handler.nextInBucket = void 0;
          this.size--;
          return;
        }
      }
      all() {
        const handlers = [];
        for (const first of this.#buckets) {
          for (let handler = first; handler !== void 0; handler = handler.nextInBucket) {
            handlers.push(handler);
          }
        }
        return handlers;
      }
      clear() {
        this.#buckets.fill(void 0);
        this.size = 0;
      }
      #grow() {
        const handlers = this.all();
        this.#mask = 4 * (this.#mask + 1) - 1;
        this.#buckets = new Array(this.#mask + 1).fill(void 0);
        this.size = 0;
        for (const handler of handlers)
          this.add(handler);
      }
    };
    exports2.PendingHandlers = PendingHandlers;
  }
});

// worker/token-cache.cjs
var require_token_cache = __commonJS({
  "worker/token-cache.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.TokenCache = exports2.RECENT_TOKENS = void 0;
    exports2.RECENT_TOKENS = 1024;
    var TokenCache = class {
      #recent = /* @__PURE__ */ new Map();
      /** Those that were recent before; what is asked for becomes recent again. */
      #older = /* @__PURE__ */ new Map();
      get(id) {
        const recent = this.#recent.get(id);
        if (recent !== void 0 || this.#older.size === 0)
          return recent;
        const older = this.#older.get(id);
        if (older !== void 0) {
          this.#older.delete(id);
          this.set(id, older);
        }
        return older;
      }
      set(id, token) {
        if (this.#recent.size >= exports2.RECENT_TOKENS) {
          this.#older = this.#recent;
          this.#recent = /* @__PURE__ */ new Map();
        }
        this.#recent.set(id, token);
      }
      delete(id) {
        this.#recent.delete(id);
        if (this.#older.size !== 0)
          this.#older.delete(id);
      }
      clear() {
        this.#recent.clear();
        this.#older.clear();
      }
    };
    exports2.TokenCache = TokenCache;
  }
});

// options/headers.cjs
var require_headers = __commonJS({
  "options/headers.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.RESERVED_HEADERS = void 0;
    exports2.headerPairs = headerPairs;
    var checks_cjs_1 = require_checks();
    exports2.RESERVED_HEADERS = /* @__PURE__ */ new Set([
      "connection",
      "content-length",
      "sec-websocket-accept",
      "sec-websocket-extensions",
      "sec-websocket-protocol",
      "sec-websocket-version",
      "transfer-encoding",
      "upgrade"
    ]);
    function headerPairs(headers, wrong) {
      if (typeof headers !== "object" || headers === null) {
        throw wrong(`"headers" must be an object, got ${(0, checks_cjs_1.typeName)(headers)}`);
      }
      const entries = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
      return entries.flatMap((entry) => {
        const [name, value] = Array.isArray(entry) ? entry : [];
        if (typeof name !== "string" || !(0, checks_cjs_1.isHttpToken)(name)) {
          throw wrong('"headers" has a name that HTTP does not allow');
        }
        if (exports2.RESERVED_HEADERS.has(name.toLowerCase()))
          throw wrong(`"headers" may not set ${name}`);
        return (Array.isArray(value) ? value : [value]).map((one) => [
          name,
          headerValue(name, one, wrong)
        ]);
      });
    }
    function headerValue(name, value, wrong) {
      if (typeof value !== "string" && typeof value !== "number") {
        throw wrong(`"headers" must have strings as values, got ${(0, checks_cjs_1.typeName)(value)} for ${name}`);
      }
      const text = String(value);
      if (!/^[\t\x20-\x7e]*$/.test(text)) {
        throw wrong(`"headers" has a value for ${name} that is not printable ASCII`);
      }
      return text;
    }
  }
});

// worker/verdict.cjs
var require_verdict = __commonJS({
  "worker/verdict.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.WHEN_ACCEPTED = exports2.TIMED_OUT = exports2.INVALID = exports2.FORBIDDEN = exports2.ACCEPTED = void 0;
    exports2.checkVerdict = checkVerdict;
    var node_util_1 = require("node:util");
    var errors_cjs_1 = require_errors();
    var checks_cjs_1 = require_checks();
    var headers_cjs_1 = require_headers();
    exports2.ACCEPTED = { accepted: true, detail: void 0 };
    exports2.FORBIDDEN = { accepted: false, detail: { status: 403 } };
    exports2.INVALID = { accepted: false, detail: { status: 500 } };
    exports2.TIMED_OUT = { accepted: false, detail: { status: 503 } };
    exports2.WHEN_ACCEPTED = /* @__PURE__ */ Symbol("wsbroker.whenAccepted");
    var ACCEPT_KEYS = ["protocol", "headers", "token", "channels"];
    var REJECT_KEYS = ["status", "headers", "body"];
    function checkVerdict(verdict, offered) {
      if (verdict === void 0 || verdict === true)
        return exports2.ACCEPTED;
      if (verdict === false)
        return exports2.FORBIDDEN;
      if (typeof verdict !== "object" || verdict === null || Array.isArray(verdict)) {
        throw invalidVerdict(`got ${(0, checks_cjs_1.typeName)(verdict)}`);
      }
      const bag = verdict;
      const refuses = "status" in bag;
      const known = refuses ? REJECT_KEYS : ACCEPT_KEYS;
      const keys = Object.keys(bag);
      const odd = keys.find((key) => !known.includes(key));
      if (odd !== void 0) {
        const similar = (0, checks_cjs_1.mostSimilar)(odd, known, 2);
        const advice = similar === void 0 ? "" : `; did you mean "${similar}"?`;
        throw invalidVerdict(`got an object with the unknown key "${odd}"${advice}`);
      }
      if (keys.length === 0 && !isPlain(bag))
        throw invalidVerdict("got an instance of a class");
      return refuses ? { accepted: false, detail: reject(bag) } : {
        accepted: true,
        detail: accept(bag, offered),
        whenAccepted: verdict[exports2.WHEN_ACCEPTED]
      };
    }
    function reject(bag) {
      const { status, body } = bag;
      if (typeof status !== "number" || !Number.isInteger(status) || status < 200 || status > 599) {
        throw invalidVerdict(`"status" must be an integer from 200 to 599, got ${typeof status === "number" ? status : (0, checks_cjs_1.typeName)(status)}`);
      }
      const detail = { status };
      if (bag["headers"] !== void 0)
        detail.headers = (0, headers_cjs_1.headerPairs)(bag["headers"], invalidVerdict);
      if (body !== void 0)
        detail.body = typeof body === "string" ? body : bytes(body, "body");
      return detail;
    }
    function accept(bag, offered) {
      const { protocol, token, channels } = bag;
      const detail = {};
      if (protocol !== void 0) {
        if (typeof protocol !== "string") {
          throw invalidVerdict(`"protocol" must be a string, got ${(0, checks_cjs_1.typeName)(protocol)}`);
        }
        if (!offered.includes(protocol)) {
          throw invalidVerdict('"protocol" must be one of those that the client offered');
        }
        detail.protocol = protocol;
      }
      if (bag["headers"] !== void 0)
        detail.headers = (0, headers_cjs_1.headerPairs)(bag["headers"], invalidVerdict);
      if (token !== void 0) {
        detail.token = typeof token === "string" ? Buffer.from(token) : bytes(token, "token");
      }
      if (channels !== void 0) {
        if (!Array.isArray(channels)) {
          throw invalidVerdict(`"channels" must be an array, got ${(0, checks_cjs_1.typeName)(channels)}`);
        }
        detail.channels = channels.map((channel) => typeof channel === "string" ? channel : bytes(channel, "channels"));
      }
      return detail;
    }
    function bytes(value, name) {
      if (node_util_1.types.isUint8Array(value))
        return value;
      if (node_util_1.types.isArrayBuffer(value))
        return new Uint8Array(value);
      throw invalidVerdict(`"${name}" must be ${name === "channels" ? "an array of" : "a"} string, ArrayBuffer or Uint8Array, got ${(0, checks_cjs_1.typeName)(value)}`);
    }
    function isPlain(value) {
      const prototype = Object.getPrototypeOf(value);
      return prototype === null || Object.getPrototypeOf(prototype) === null;
    }
    function invalidVerdict(what) {
      const end = what.endsWith("?") ? "" : ".";
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_INVALID_VERDICT", `handleOpen: the verdict must be undefined, a boolean, { status, headers?, body? } or { protocol?, headers?, token?, channels? }: ${what}${end} The client got 500`);
    }
  }
});

// worker/dispatch.cjs
var require_dispatch = __commonJS({
  "worker/dispatch.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.HANDLER_OF_EVENT = void 0;
    exports2.createDispatcher = createDispatcher;
    var node_worker_threads_1 = require("node:worker_threads");
    var builtins_cjs_1 = require_builtins();
    var clock_cjs_1 = require_clock();
    var errors_cjs_1 = require_errors();
    var promises_cjs_1 = require_promises();
    var measured_cjs_1 = require_measured();
    var pending_handlers_cjs_1 = require_pending_handlers();
    var token_cache_cjs_1 = require_token_cache();
    var verdict_cjs_1 = require_verdict();
    var TICKS = 8;
    var MAX_SPARE = 256;
    var SHORT_TOKEN = 64;
    exports2.HANDLER_OF_EVENT = [
      "handleOpen",
      "handleOpen",
      "handleTextMessage",
      "handleBinaryMessage",
      "handleBinaryMessage",
      "handleClose",
      "handleDrain",
      // An event of helpers.
      "handleOpen",
      "handleLost"
    ];
    function withFingerprint(certificate) {
      const digits = builtins_cjs_1.builtins.crypto.createHash("sha256").update(certificate.raw).digest("hex").toUpperCase();
      certificate.fingerprint256 = digits.replace(/..(?!$)/g, "$&:");
    }
    function createDispatcher(native, table, onBrokerGone) {
      const { scope } = table;
      const scoped = (handler) => handler && scope.bound(handler, table.self);
      const [handleOpen, handleTextMessage, handleBinaryMessage] = [
        scoped(table.handleOpen),
        scoped(table.handleTextMessage),
        scoped(table.handleBinaryMessage)
      ];
      const [handleClose, handleDrain] = [scoped(table.handleClose), scoped(table.handleDrain)];
      const handleLost = scoped(table.handleLost);
      const { close, continueChannel, handlerRan, openVerdict, settle } = native;
      const { copyToken, slotBytes, slotToken, tokenVersion } = native;
      const { setInterval, clearInterval, queueMicrotask } = globalThis;
      const { nextTick } = process;
      let control = new Int32Array(16);
      let ids = new Float64Array(0);
      let kinds = control;
      let slots = control;
      let tokens = new Uint32Array(0);
      let numbers = control;
      let lengths = control;
      let settled = control;
      let state = new Uint8Array(0);
      const pendingHandlers = new pending_handlers_cjs_1.PendingHandlers();
      const spare = [];
      const tokenCache = new token_cache_cjs_1.TokenCache();
      const shortToken = new Uint8Array(SHORT_TOKEN);
      let pendingCount = 0;
      let stopped = false;
      let hurried = false;
      let whenIdle = [];
      let settleIsDue = false;
      let tick = 0;
      let ticker;
      let untilMeasured = (0, measured_cjs_1.untilNextMeasured)();
      function attach(block) {
        control = new Int32Array(
          block,
          0,
          16
          /* ControlLayout.Words */
        );
        control[
          6
          /* ControlWord.ThreadId */
        ] = node_worker_threads_1.threadId;
        const capacity = control[
          2
          /* ControlWord.SlotCount */
        ] ?? 0;
        ids = new Float64Array(
          block,
          64,
          32
          /* ControlLayout.MaxEvents */
        );
        kinds = new Int32Array(
          block,
          320,
          32
          /* ControlLayout.MaxEvents */
        );
        slots = new Int32Array(
          block,
          448,
          32
          /* ControlLayout.MaxEvents */
        );
        tokens = new Uint32Array(
          block,
          576,
          32
          /* ControlLayout.MaxEvents */
        );
        numbers = new Int32Array(
          block,
          704,
          32
          /* ControlLayout.MaxEvents */
        );
        lengths = new Int32Array(
          block,
          832,
          32
          /* ControlLayout.MaxEvents */
        );
        settled = new Int32Array(block, 1024, capacity);
        state = new Uint8Array(block, 1024 + 4 * capacity, capacity);
      }
      function dispatch(count, ...data) {
        if (stopped)
          return;
        if (count === 0)
          return onBrokerGone();
        scope.batch(handleEvents, count, data);
      }
      function handleEvents(count, data) {
        const epoch = control[
          0
          /* ControlWord.TokenEpoch */
        ];
        const serial = control[
          4
          /* ControlWord.Concurrent */
        ] === 0 && !hurried;
        let shared;
        for (let i = 0; i < count; i++) {
          const id = ids[i];
          const slot = slots[i];
          let kind = kinds[i];
          let begun = 0;
          try {
            let value = data[i];
            if (kind === 3) {
              if (value !== shared)
                (0, node_worker_threads_1.markAsUntransferable)(shared = value);
              const length = lengths[i];
              value = value.byteLength === 0 && length !== 0 ? slotBytes(slot) : Buffer.from(value, numbers[i], length);
              kind = 4;
            }
            if (serial && pendingHandlers.size !== 0) {
              const pending = pendingHandlers.find(id);
              if (pending !== void 0) {
                if (!settleIsDue)
                  settleAfterPromises();
                const number = kind === 4 ? value.length : numbers[i];
                pending.push(new pending_handlers_cjs_1.WaitingEvent(kind, slot, value, number, tokens[i], epoch));
                continue;
              }
            }
            state[slot] = 1;
            if (kind === 1) {
              open(id, slot, value);
              continue;
            }
            const token = tokenNow(id, slot, tokens[i], epoch);
            begun = beginning(kind);
            const result = invoke(kind, id, value, token, numbers[i]);
            if (result !== void 0 && (0, promises_cjs_1.isThenable)(result) && !(0, promises_cjs_1.isFulfilled)(result)) {
              const pending = takePending();
              pending.begun = begun;
              pend(pending, kind, id, slot, result, serial);
              continue;
            }
          } catch (error) {
            report(error, kind, id);
          }
          if (begun !== 0)
            handlerRan(kind, (0, clock_cjs_1.now)() - begun);
          state[slot] = 2;
        }
      }
      function beginning(kind) {
        if (kind === 2 || kind === 4) {
          if (--untilMeasured > 0)
            return 0;
          untilMeasured = (0, measured_cjs_1.untilNextMeasured)();
        }
        return (0, clock_cjs_1.now)();
      }
      function invoke(kind, id, value, token, code) {
        switch (kind) {
          case 2:
            return handleTextMessage === void 0 ? void 0 : handleTextMessage(value, id, token);
          case 4:
            return handleBinaryMessage === void 0 ? void 0 : handleBinaryMessage(value, id, token);
          case 6:
            return handleDrain === void 0 ? void 0 : handleDrain(id, token);
          case 8:
            return lost(id, value);
          case 5:
            tokenCache.delete(id);
            return handleClose === void 0 ? void 0 : handleClose(id, token, code, value);
          default:
            return void 0;
        }
      }
      function lost(id, { channel, position }) {
        const failed = (error) => {
          closeLost(id);
          throw error;
        };
        try {
          const result = handleLost === void 0 ? void 0 : handleLost(id, channel, position);
          if ((0, promises_cjs_1.isThenable)(result)) {
            return Promise.resolve(result).then(() => continueChannel(id, channel), failed);
          }
        } catch (error) {
          failed(error);
        }
        continueChannel(id, channel);
        return void 0;
      }
      function closeLost(id) {
        close(id, 4009, "history lost");
      }
      function open(id, slot, request) {
        let decision = verdict_cjs_1.FORBIDDEN;
        const begun = (0, clock_cjs_1.now)();
        try {
          if (request.clientCertificate !== void 0)
            withFingerprint(request.clientCertificate);
          const verdict = handleOpen === void 0 ? true : handleOpen(id, request.ip, request.headers, request);
          if ((0, promises_cjs_1.isThenable)(verdict)) {
            const pending = takePending();
            pending.offered = request.protocols;
            pending.begun = begun;
            pend(pending, 1, id, slot, verdict, true);
            return;
          }
          decision = checkOrReport(verdict, request.protocols, id);
        } catch (error) {
          report(error, 1, id);
        }
        handlerRan(1, (0, clock_cjs_1.now)() - begun);
        sendVerdict(slot, decision, id);
        state[slot] = 2;
      }
      function checkOrReport(verdict, offered, id) {
        if (verdict === void 0 || verdict === true)
          return verdict_cjs_1.ACCEPTED;
        if (verdict === false)
          return verdict_cjs_1.FORBIDDEN;
        try {
          return (0, verdict_cjs_1.checkVerdict)(verdict, offered);
        } catch (error) {
          report(error, 1, id);
          return verdict_cjs_1.INVALID;
        }
      }
      function sendVerdict(slot, decision, id) {
        if (stopped)
          return;
        try {
          if (decision.accepted) {
            decision.whenAccepted?.();
            openVerdict(slot, true, decision.detail);
          } else {
            openVerdict(slot, false, decision.detail);
          }
        } catch (error) {
          report(error, 1, id);
          if (decision !== verdict_cjs_1.INVALID)
            sendVerdict(slot, verdict_cjs_1.INVALID, id);
        }
      }
      function tokenOf(id, slot, version) {
        const cached = tokenCache.get(id);
        if (cached !== void 0 && cached.version === version && cached.bytes.length === cached.length) {
          return cached.bytes;
        }
        const bytes = newToken(slot);
        if (bytes === void 0)
          return void 0;
        if (cached === void 0) {
          tokenCache.set(id, { version, bytes, length: bytes.length });
        } else {
          cached.version = version;
          cached.bytes = bytes;
          cached.length = bytes.length;
        }
        return bytes;
      }
      function newToken(slot) {
        const length = copyToken(slot, shortToken);
        if (length < 0)
          return void 0;
        if (length > shortToken.length)
          return slotToken(slot);
        const bytes = Buffer.allocUnsafeSlow(length);
        for (let i = 0; i < length; i++)
          bytes[i] = shortToken[i];
        return bytes;
      }
      function tokenNow(id, slot, version, epoch) {
        if (control[
          0
          /* ControlWord.TokenEpoch */
        ] !== epoch)
          return currentToken(id, slot);
        return version === 0 ? void 0 : tokenOf(id, slot, version);
      }
      function currentToken(id, slot) {
        const version = tokenVersion(id);
        return version === 0 ? newToken(slot) : tokenOf(id, slot, version);
      }
      function pend(pending, kind, id, slot, promise, serial) {
        pending.id = id;
        pending.kind = kind;
        pending.slot = slot;
        pending.since = tick;
        Promise.resolve(promise).then(pending.resolved, pending.rejected);
        if (!settleIsDue)
          settleAfterPromises();
        pendingCount++;
        if (serial && !pending.serial) {
          pending.serial = true;
          pendingHandlers.add(pending);
          if (ticker === void 0)
            startTicking();
        }
      }
      function done(pending, failed, value) {
        if (pending.expired)
          return doneLate(pending, failed, value);
        const { id, kind, slot, begun } = pending;
        pendingCount--;
        if (begun !== 0)
          handlerRan(kind, (0, clock_cjs_1.now)() - begun);
        if (kind === 1) {
          if (failed)
            report(value, kind, id);
          sendVerdict(slot, failed ? verdict_cjs_1.FORBIDDEN : checkOrReport(value, pending.offered, id), id);
        } else if (failed) {
          report(value, kind, id);
        }
        settleOutside(slot);
        handleWaiting(pending);
      }
      function doneLate(pending, failed, value) {
        const { id, kind } = pending;
        if (failed)
          return report(value, kind, id);
        if (kind !== 1 || handleClose === void 0 || !checkOrReport(value, pending.offered, id).accepted) {
          return;
        }
        try {
          const result = handleClose(id, void 0, 1006, "");
          if ((0, promises_cjs_1.isThenable)(result)) {
            Promise.resolve(result).then(void 0, (error) => report(error, 5, id));
          }
        } catch (error) {
          report(error, 5, id);
        }
      }
      function handleWaiting(pending) {
        const { id } = pending;
        for (let event = pending.shift(); event !== void 0 && !stopped; event = pending.shift()) {
          const { kind, slot } = event;
          state[slot] = 1;
          let begun = 0;
          try {
            begun = beginning(kind);
            const isWhole = kind !== 4 || event.data.length === event.number;
            const result = invoke(kind, id, isWhole ? event.data : slotBytes(slot), tokenNow(id, slot, event.token, event.epoch), event.number);
            if (result !== void 0 && (0, promises_cjs_1.isThenable)(result) && !(0, promises_cjs_1.isFulfilled)(result)) {
              const next = hurried ? takePending() : pending;
              next.begun = begun;
              pend(next, kind, id, slot, result, !hurried);
              if (!hurried)
                return;
              continue;
            }
          } catch (error) {
            report(error, kind, id);
          }
          if (begun !== 0)
            handlerRan(kind, (0, clock_cjs_1.now)() - begun);
          settleOutside(slot);
        }
        if (pending.serial)
          pendingHandlers.remove(pending);
        pending.serial = false;
        pending.clear();
        if (spare.length < MAX_SPARE)
          spare.push(pending);
        if (pendingCount === 0)
          for (const resolve of whenIdle.splice(0))
            resolve();
      }
      function settleOutside(slot) {
        if (stopped)
          return;
        state[slot] = 2;
        const count = control[
          1
          /* ControlWord.SettledCount */
        ];
        settled[count] = slot;
        control[
          1
          /* ControlWord.SettledCount */
        ] = count + 1;
        if (!settleIsDue) {
          settleIsDue = true;
          nextTick(settleNow);
        }
      }
      function settleAfterPromises() {
        settleIsDue = true;
        queueMicrotask(scheduleSettle);
      }
      function scheduleSettle() {
        nextTick(settleNow);
      }
      function settleNow() {
        settleIsDue = false;
        settle();
      }
      function takePending() {
        return spare.pop() ?? new pending_handlers_cjs_1.PendingHandler(done);
      }
      function startTicking() {
        const timeout = handlerTimeout();
        if (timeout === 0)
          return;
        ticker = setInterval(onTick, Math.ceil(timeout / TICKS));
        ticker.unref?.();
      }
      function onTick() {
        tick++;
        if (pendingHandlers.size === 0 || stopped) {
          clearInterval(ticker);
          ticker = void 0;
          return;
        }
        const overdue = pendingHandlers.all().filter((pending) => tick - pending.since > TICKS);
        for (const pending of overdue)
          expire(pending);
      }
      function expire(pending) {
        const { id, kind, slot, begun } = pending;
        const name = exports2.HANDLER_OF_EVENT[kind];
        const outcome = kind === 1 ? "the connection was refused with 503" : kind === 8 ? "the connection was closed with 4009" : "the connection's next event is handled now";
        pending.expired = true;
        pendingCount--;
        if (begun !== 0)
          handlerRan(kind, (0, clock_cjs_1.now)() - begun);
        if (kind === 1)
          sendVerdict(slot, verdict_cjs_1.TIMED_OUT, id);
        else if (kind === 8)
          closeLost(id);
        settleOutside(slot);
        const successor = replacePending(pending);
        report(new errors_cjs_1.WSBrokerError("ERR_WSBROKER_HANDLER_TIMEOUT", `${name} did not settle within ${handlerTimeout()} ms; ${outcome}`), kind, id);
        handleWaiting(successor);
      }
      function replacePending(pending) {
        const successor = takePending();
        successor.id = pending.id;
        successor.serial = true;
        pending.moveTo(successor);
        pendingHandlers.remove(pending);
        pendingHandlers.add(successor);
        return successor;
      }
      function hurry() {
        hurried = true;
        for (const pending of pendingHandlers.all()) {
          if (pending.kind === 1)
            continue;
          const successor = replacePending(pending);
          pending.serial = false;
          handleWaiting(successor);
        }
      }
      function handlerTimeout() {
        return Math.max(0, control[
          5
          /* ControlWord.HandlerTimeout */
        ] - 1);
      }
      function report(error, kind, id) {
        table.report(error, exports2.HANDLER_OF_EVENT[kind], id);
      }
      return {
        dispatch,
        attach,
        hurry,
        idle: () => pendingCount === 0 ? Promise.resolve() : new Promise((resolve) => whenIdle.push(resolve)),
        stop() {
          stopped = true;
          clearInterval(ticker);
          pendingHandlers.clear();
          tokenCache.clear();
          for (const resolve of whenIdle.splice(0))
            resolve();
        }
      };
    }
  }
});

// worker/own-functions.cjs
var require_own_functions = __commonJS({
  "worker/own-functions.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.ownFunctions = void 0;
    var load_cjs_1 = require_load();
    exports2.ownFunctions = new WeakSet([load_cjs_1.native.close]);
  }
});

// worker/handler-names.cjs
var require_handler_names = __commonJS({
  "worker/handler-names.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.HANDLER_NAMES = void 0;
    exports2.checkNames = checkNames;
    exports2.isClassOfHandlers = isClassOfHandlers;
    exports2.classExported = classExported;
    exports2.classGiven = classGiven;
    var errors_cjs_1 = require_errors();
    var checks_cjs_1 = require_checks();
    var report_cjs_1 = require_report();
    var own_functions_cjs_1 = require_own_functions();
    exports2.HANDLER_NAMES = [
      "handleOpen",
      "handleTextMessage",
      "handleBinaryMessage",
      "handleClose",
      "handleDrain",
      "handleLost",
      "handleStart",
      "handleStop",
      "onError"
    ];
    var MESSAGES = ["handleTextMessage", "handleBinaryMessage"];
    var FOREIGN_NAMES = {
      handlemessage: MESSAGES,
      onmessage: MESSAGES,
      handletext: ["handleTextMessage"],
      ontextmessage: ["handleTextMessage"],
      handlebinary: ["handleBinaryMessage"],
      onbinarymessage: ["handleBinaryMessage"],
      onopen: ["handleOpen"],
      onconnection: ["handleOpen"],
      handleconnection: ["handleOpen"],
      onclose: ["handleClose"],
      ondrain: ["handleDrain"],
      onlost: ["handleLost"]
    };
    var FOREIGN_NAMES_EXACT = {
      message: MESSAGES,
      open: ["handleOpen"],
      close: ["handleClose"],
      drain: ["handleDrain"]
    };
    var OWN_WORDS = /* @__PURE__ */ new Set([
      "pen",
      "oven",
      "omen",
      "clone",
      "chose",
      "lose",
      "host",
      "last",
      "list",
      "post",
      "most",
      "cost",
      "loss",
      "log",
      "load",
      "closet",
      "train",
      "brain",
      "grain",
      "rain",
      "drawn",
      "star",
      "stars",
      "stat",
      "smart",
      "step",
      "shop",
      "top",
      "stoop",
      "nextmessage",
      "testmessage"
    ]);
    function checkNames(call, holders, handlers) {
      const has = (name) => handlers !== void 0 && Reflect.get(handlers, name) !== void 0;
      const foreign = /* @__PURE__ */ new Map();
      for (const [key, isFunction] of members(holders)) {
        const similar = misspelledHandler(key);
        if (similar !== void 0 && !has(similar) && isFunction()) {
          throw unknown(`${call}: "${key}" is not a handler; did you mean "${similar}"? If it is something else, rename it`);
        }
        const meant = Object.hasOwn(FOREIGN_NAMES_EXACT, key) ? FOREIGN_NAMES_EXACT[key] : Object.hasOwn(FOREIGN_NAMES, key.toLowerCase()) ? FOREIGN_NAMES[key.toLowerCase()] : void 0;
        if (meant !== void 0 && !meant.some(has) && isFunction())
          foreign.set(key, meant);
      }
      if (foreign.size === 0)
        return;
      const list = [...foreign].map(([key, meant]) => `"${key}" (wsbroker calls it ${meant.map((name) => `"${name}"`).join(" and ")})`).join(", ");
      if (!exports2.HANDLER_NAMES.some(has))
        throw unknown(`${call}: there are no handlers, only ${list}`);
      (0, report_cjs_1.warnOnce)(`${call}: these are not handlers and are never called: ${list}`);
    }
    function isClassOfHandlers(value, handlers) {
      if (typeof value !== "function")
        return false;
      const { prototype } = value;
      if (typeof prototype !== "object" || prototype === null)
        return false;
      const methods = exports2.HANDLER_NAMES.filter((name) => name in prototype);
      if (handlers !== void 0) {
        return methods.some((name) => Reflect.get(handlers, name) === void 0);
      }
      return methods.length > 0 || /^class\b/.test(Function.prototype.toString.call(value));
    }
    function classExported(call, { name }) {
      return unknown(`${call}: the default export is a class, but handlers are called on an object: export an instance, as in "export default new ${shownName(name)}()"`);
    }
    function classGiven(call, { name }) {
      return new errors_cjs_1.WSBrokerTypeError(`${call}: "handlers" must be an object, got a class: pass an instance, as in "registerWorkerThread(new ${shownName(name)}())"`);
    }
    function shownName(name) {
      return name === "" || name === "default" ? "Handlers" : name;
    }
    function unknown(message) {
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_UNKNOWN_HANDLER", message);
    }
    function* members(holders) {
      const seen = /* @__PURE__ */ new Set();
      for (const holder of holders) {
        for (let object = holder; isHolder(object); object = Object.getPrototypeOf(object)) {
          for (const key of Object.getOwnPropertyNames(object)) {
            if (seen.has(key))
              continue;
            seen.add(key);
            yield [key, () => isForeignFunction(holder, key)];
          }
        }
      }
    }
    function isHolder(value) {
      if (typeof value !== "object" && typeof value !== "function" || value === null || Array.isArray(value) || ArrayBuffer.isView(value)) {
        return false;
      }
      return !(Object.hasOwn(value, "constructor") && Object.hasOwn(value, "toString") && Object.getPrototypeOf(value) === null) && value !== Function.prototype;
    }
    function isForeignFunction(holder, key) {
      try {
        const value = Reflect.get(holder, key);
        return typeof value === "function" && !own_functions_cjs_1.ownFunctions.has(value);
      } catch {
        return false;
      }
    }
    function misspelledHandler(key) {
      if (key.length > 32 || /\d/.test(key) || exports2.HANDLER_NAMES.includes(key)) {
        return void 0;
      }
      const lower = key.toLowerCase();
      return exports2.HANDLER_NAMES.find((name) => {
        const prefix = name.startsWith("on") ? "on" : "handle";
        const word = name.slice(prefix.length).toLowerCase();
        if (lower.startsWith(prefix))
          return isSimilar(lower.slice(prefix.length), word);
        const starts = prefix === "on" ? [] : [5, 6, 7].map((length) => lower.slice(0, length)).filter((start) => /[el]$/.test(start) && (0, checks_cjs_1.editDistance)(start, prefix) === 1);
        return starts.some((start) => isSimilar(lower.slice(start.length), word));
      });
    }
    function isSimilar(rest, word) {
      return !OWN_WORDS.has(rest) && (0, checks_cjs_1.editDistance)(rest, word) <= (word.length > 8 ? 2 : 1);
    }
  }
});

// worker/handlers.cjs
var require_handlers = __commonJS({
  "worker/handlers.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.PINNED = exports2.MASK = void 0;
    exports2.hasHandlers = hasHandlers;
    exports2.handlerTable = handlerTable;
    var async_scope_cjs_1 = require_async_scope();
    var checks_cjs_1 = require_checks();
    var promises_cjs_1 = require_promises();
    var report_cjs_1 = require_report();
    var handler_names_cjs_1 = require_handler_names();
    exports2.MASK = {
      open: 1,
      text: 2,
      binary: 4,
      close: 8,
      drain: 16,
      pinned: 32,
      lost: 64,
      forget: 128
    };
    exports2.PINNED = /* @__PURE__ */ Symbol("wsbroker.pinned");
    function hasHandlers(value) {
      return value !== null && (typeof value === "object" || typeof value === "function") && handler_names_cjs_1.HANDLER_NAMES.some((name) => Reflect.get(value, name) !== void 0);
    }
    function handlerTable(call, handlers, holders = [handlers]) {
      if ((0, handler_names_cjs_1.isClassOfHandlers)(handlers, hasHandlers(handlers) ? handlers : void 0)) {
        throw (0, handler_names_cjs_1.classGiven)(call, handlers);
      }
      if ((typeof handlers !== "object" || handlers === null) && !hasHandlers(handlers)) {
        throw (0, checks_cjs_1.wrongType)(call, "handlers", "an object", handlers);
      }
      const pick = (name) => {
        const value = Reflect.get(handlers, name);
        if (value !== void 0 && typeof value !== "function") {
          throw (0, checks_cjs_1.wrongType)(call, `handlers.${name}`, "a function", value);
        }
        return value;
      };
      (0, handler_names_cjs_1.checkNames)(call, holders, handlers);
      const [handleOpen, handleTextMessage, handleBinaryMessage] = [
        pick("handleOpen"),
        pick("handleTextMessage"),
        pick("handleBinaryMessage")
      ];
      const [handleClose, handleDrain] = [pick("handleClose"), pick("handleDrain")];
      const handleLost = pick("handleLost");
      const onError = pick("onError");
      const scope = (0, async_scope_cjs_1.scopeHere)();
      const cachesTokens = handleTextMessage ?? handleBinaryMessage ?? handleDrain;
      return {
        self: handlers,
        handleOpen,
        handleTextMessage,
        handleBinaryMessage,
        handleClose,
        handleDrain,
        handleLost,
        handleStart: pick("handleStart"),
        handleStop: pick("handleStop"),
        mask: (handleOpen ? exports2.MASK.open : 0) | (handleTextMessage ? exports2.MASK.text : 0) | (handleBinaryMessage ? exports2.MASK.binary : 0) | (handleClose ? exports2.MASK.close : 0) | (cachesTokens ? exports2.MASK.forget : 0) | (handleDrain ? exports2.MASK.drain : 0) | (handleLost ? exports2.MASK.lost : 0) | (Reflect.get(handlers, exports2.PINNED) === true ? exports2.MASK.pinned : 0),
        scope,
        report: (error, handler, socketId) => report(scope, handlers, onError, error, { handler, socketId })
      };
    }
    function report(scope, self, onError, error, context) {
      if (onError === void 0)
        return (0, report_cjs_1.reportHandlerError)(error, context);
      const failed = (reason) => {
        (0, report_cjs_1.reportHandlerError)(error, context);
        (0, report_cjs_1.reportError)("onError failed", reason);
      };
      try {
        const result = scope.call(onError, self, error, context);
        if ((0, promises_cjs_1.isThenable)(result))
          Promise.resolve(result).then(void 0, failed);
      } catch (reason) {
        failed(reason);
      }
    }
  }
});

// worker/register.cjs
var require_register = __commonJS({
  "worker/register.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.Registration = exports2.thread = void 0;
    exports2.currentRegistration = currentRegistration;
    exports2.register = register;
    var node_timers_1 = require("node:timers");
    var node_worker_threads_1 = require("node:worker_threads");
    var clock_cjs_1 = require_clock();
    var errors_cjs_1 = require_errors();
    var copies_cjs_1 = require_copies();
    var load_cjs_1 = require_load();
    var advice_cjs_1 = require_advice();
    var promises_cjs_1 = require_promises();
    var dispatch_cjs_1 = require_dispatch();
    var handlers_cjs_1 = require_handlers();
    exports2.thread = {
      /** It belongs to a pool, which was started by another thread. */
      inPool: (0, copies_cjs_1.isInPool)(),
      /** A `start` waits for this thread's handlers, and rejects if `handleStart` fails. */
      loading: false,
      /** It becomes a worker only when the pool says so: see {@link Registration.begin}. */
      held: false,
      /** Helpers whose clients live in this thread. */
      helpers: /* @__PURE__ */ new Set(),
      /** Modules that are still loading although `start` has given them up. */
      late: /* @__PURE__ */ new Set()
    };
    var BROKER_GONE_TIMEOUT = 1e4;
    var Registration = class {
      /**
       * Resolves when `handleStart` is done and events may come, or {@link begin} may be called;
       * rejects with its error.
       */
      ready;
      /** Made for a module without handlers: a later `registerWorkerThread` replaces it. */
      implicit;
      #table;
      #dispatcher;
      #dropped = false;
      #isReady = false;
      #finished;
      #stopped;
      /** The addon could not deliver everything in its turn, and asked for another one. */
      #hasMore = false;
      /** @param started what `handleStart` returned */
      constructor(table, started, implicit, replaced) {
        this.#table = table;
        this.implicit = implicit;
        const attach = () => {
          replaced?.drop();
          this.#isReady = true;
          if (!exports2.thread.held)
            this.begin();
        };
        this.ready = (0, promises_cjs_1.isThenable)(started) ? Promise.resolve(started).then(attach) : Promise.resolve(attach());
        this.ready.catch((error) => {
          this.drop();
          if (!exports2.thread.loading)
            table.report(error, "handleStart", void 0);
        });
      }
      /** The object that was registered. */
      get handlers() {
        return this.#table.self;
      }
      /** Events come from now on, if `handleStart` is done. */
      begin() {
        if (this.#isReady && !this.#dropped && this.#dispatcher === void 0)
          this.#attach();
      }
      /**
       * Leaves the events that have come to other workers, whatever its handlers are at, and runs
       * `handleStop` within `timeout`. Never rejects.
       *
       * @returns whether `handleStop` has settled
       */
      async leave(timeout) {
        const attached = this.#dispatcher !== void 0;
        this.drop();
        if (!attached)
          return true;
        this.#stopped ??= this.#handleStop();
        return await (0, promises_cjs_1.within)(timeout, this.#stopped);
      }
      /**
       * Handles the events that have come, waits for their handlers, runs `handleStop`, all within
       * `timeout`, and detaches from the addon. Handlers have half of that time to settle; then the
       * events that wait for them, such as closed connections, are handled all the same. `handleStop`
       * has what is left. Never rejects.
       *
       * @returns whether `handleStop` has settled
       */
      async stop(timeout) {
        const deadline = (0, clock_cjs_1.now)() + timeout;
        this.#finished ??= this.#finishEvents();
        if (!await (0, promises_cjs_1.within)(timeout / 2, this.#finished))
          this.#dispatcher?.hurry();
        let settled = true;
        if (this.#dispatcher !== void 0) {
          this.#stopped ??= this.#handleStop();
          settled = await (0, promises_cjs_1.within)(deadline - (0, clock_cjs_1.now)(), this.#stopped);
        }
        this.drop();
        return settled;
      }
      /** Detaches from the addon at once. */
      drop() {
        if (current === this)
          current = void 0;
        this.#dropped = true;
        if (this.#dispatcher === void 0)
          return;
        load_cjs_1.native.detachWorker();
        this.#dispatcher.stop();
        this.#dispatcher = void 0;
      }
      #attach() {
        const dispatcher = (0, dispatch_cjs_1.createDispatcher)(load_cjs_1.native, this.#table, () => void this.stop(BROKER_GONE_TIMEOUT));
        const keepAlive = !node_worker_threads_1.isMainThread && !exports2.thread.inPool;
        const again = () => {
          this.#hasMore = true;
          (0, node_timers_1.setImmediate)(load_cjs_1.native.drain);
        };
        dispatcher.attach(load_cjs_1.native.attachWorker(this.#table.mask, dispatcher.dispatch, again, keepAlive).control);
        this.#dispatcher = dispatcher;
      }
      /**
       * A shutdown that ran out of time leaves close events behind, for which `handleClose` must still
       * run.
       */
      async #finishEvents() {
        try {
          await this.ready;
        } catch {
          return;
        }
        do {
          this.#hasMore = false;
          load_cjs_1.native.drain();
          await this.#dispatcher?.idle();
        } while (this.#hasMore);
      }
      async #handleStop() {
        try {
          const { handleStop, scope, self } = this.#table;
          if (handleStop !== void 0)
            await scope.call(handleStop, self);
        } catch (error) {
          this.#table.report(error, "handleStop", void 0);
        }
      }
    };
    exports2.Registration = Registration;
    var current;
    function currentRegistration() {
      return current;
    }
    function register(call, handlers, implicit = false, holders) {
      const table = (0, handlers_cjs_1.handlerTable)(call, handlers, holders);
      (0, copies_cjs_1.checkSameCopy)();
      if (!exports2.thread.loading)
        checkLate();
      if (current?.implicit === false) {
        throw new errors_cjs_1.WSBrokerError("ERR_WSBROKER_CONFLICT", `${call}: this thread has already registered handlers; ${advice_cjs_1.START_OVER}`);
      }
      const started = table.handleStart === void 0 ? void 0 : table.scope.call(table.handleStart, table.self);
      current = new Registration(table, started, implicit, current);
      return current;
    }
    function checkLate() {
      if (exports2.thread.late.size === 0)
        return;
      const stack = String(new Error("who calls?").stack);
      for (const { names, error } of exports2.thread.late) {
        if (names.some((name) => stack.includes(`${name}:`)))
          throw error;
      }
    }
  }
});

// server/on-demand.cjs
var require_on_demand = __commonJS({
  "server/on-demand.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.serving = serving;
    var copies_cjs_1 = require_copies();
    var register_cjs_1 = require_register();
    function serving() {
      return require("./server/serving.cjs");
    }
    (0, copies_cjs_1.setCopyLifecycle)({
      isActive: () => (0, register_cjs_1.currentRegistration)() !== void 0,
      shutdown: (code, timeout) => serving().shutdownHere(code, timeout)
    });
  }
});

// api/servers.cjs
var require_servers = __commonJS({
  "api/servers.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.start = start;
    exports2.joinCluster = joinCluster;
    exports2.registerWorkerThread = registerWorkerThread;
    exports2.shutdown = shutdown;
    exports2.drain = drain;
    exports2.reloadWorkers = reloadWorkers;
    exports2.setReady = setReady;
    var load_cjs_1 = require_load();
    var checks_cjs_1 = require_checks();
    var on_demand_cjs_1 = require_on_demand();
    var own_functions_cjs_1 = require_own_functions();
    var register_cjs_1 = require_register();
    async function start(options) {
      return (0, on_demand_cjs_1.serving)().start(options);
    }
    function joinCluster(options) {
      (0, on_demand_cjs_1.serving)().joinCluster(options);
    }
    function registerWorkerThread(handlers) {
      (0, register_cjs_1.register)("registerWorkerThread", handlers);
    }
    async function shutdown(options) {
      return (0, on_demand_cjs_1.serving)().shutdown(options);
    }
    async function drain(options) {
      return (0, on_demand_cjs_1.serving)().drain(options);
    }
    own_functions_cjs_1.ownFunctions.add(drain);
    async function reloadWorkers(options) {
      return (0, on_demand_cjs_1.serving)().reloadWorkers(options);
    }
    function setReady(ready) {
      if (typeof ready !== "boolean")
        throw (0, checks_cjs_1.wrongType)("setReady", "ready", "a boolean", ready);
      load_cjs_1.native.setReady(ready);
    }
  }
});

// api/sockets.cjs
var require_sockets = __commonJS({
  "api/sockets.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.bufferedAmount = exports2.isOpen = exports2.terminate = exports2.close = exports2.getToken = exports2.setToken = void 0;
    exports2.getSockets = getSockets;
    exports2.slowSockets = slowSockets;
    exports2.roundTrip = roundTrip;
    exports2.info = info;
    var load_cjs_1 = require_load();
    var inspection_cjs_1 = require_inspection();
    exports2.setToken = load_cjs_1.native.setToken;
    exports2.getToken = load_cjs_1.native.getToken;
    exports2.close = load_cjs_1.native.close;
    exports2.terminate = load_cjs_1.native.terminate;
    exports2.isOpen = load_cjs_1.native.isOpen;
    exports2.bufferedAmount = load_cjs_1.native.bufferedAmount;
    function getSockets(options) {
      const { after, limit } = (0, inspection_cjs_1.checkGetSockets)(options);
      return load_cjs_1.native.getSockets(after, limit);
    }
    function slowSockets(n) {
      return load_cjs_1.native.slowSockets((0, inspection_cjs_1.checkSlowSockets)(n));
    }
    function roundTrip(socketId) {
      return load_cjs_1.native.roundTrip((0, inspection_cjs_1.checkSocketId)("roundTrip", socketId)) ?? void 0;
    }
    function info(socketId) {
      const found = load_cjs_1.native.socketInfo((0, inspection_cjs_1.checkSocketId)("info", socketId)) ?? void 0;
      if (found === void 0)
        return void 0;
      const { roundTrip: roundTrip2, workerId } = found;
      return { ...found, roundTrip: roundTrip2 ?? void 0, workerId: workerId ?? void 0 };
    }
  }
});

// api/subscriptions.cjs
var require_subscriptions = __commonJS({
  "api/subscriptions.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.getSubscribers = exports2.getSubscriptions = exports2.isSubscribed = exports2.hasSubscriptions = exports2.copySubscriptions = exports2.unsubscribeAll = exports2.unsubscribeMany = exports2.subscribeMany = exports2.unsubscribe = exports2.subscribe = void 0;
    exports2.listening = listening;
    exports2.closeChannel = closeChannel;
    exports2.subscriberCount = subscriberCount;
    var load_cjs_1 = require_load();
    var channel_calls_cjs_1 = require_channel_calls();
    async function listening(channel) {
      return load_cjs_1.native.listening((0, channel_calls_cjs_1.channelBytes)("listening", channel));
    }
    exports2.subscribe = load_cjs_1.native.subscribe;
    exports2.unsubscribe = load_cjs_1.native.unsubscribe;
    exports2.subscribeMany = load_cjs_1.native.subscribeMany;
    exports2.unsubscribeMany = load_cjs_1.native.unsubscribeMany;
    exports2.unsubscribeAll = load_cjs_1.native.unsubscribeAll;
    exports2.copySubscriptions = load_cjs_1.native.copySubscriptions;
    function closeChannel(channel, code, reason, options) {
      if (options === void 0)
        return load_cjs_1.native.closeChannel(channel, code, reason);
      const everywhere = (0, channel_calls_cjs_1.checkCloseChannel)(channel, code, reason, options);
      return everywhere === void 0 ? load_cjs_1.native.closeChannel(channel, code, reason) : load_cjs_1.native.closeChannelEverywhere(everywhere.channel, everywhere.code, everywhere.reason);
    }
    exports2.hasSubscriptions = load_cjs_1.native.hasSubscriptions;
    function subscriberCount(channel, options) {
      if (options === void 0)
        return load_cjs_1.native.subscriberCount(channel);
      const everywhere = (0, channel_calls_cjs_1.checkSubscriberCount)(channel, options);
      if (everywhere === void 0)
        return load_cjs_1.native.subscriberCount(channel);
      return load_cjs_1.native.clusterCount(everywhere.channel, everywhere.timeout);
    }
    exports2.isSubscribed = load_cjs_1.native.isSubscribed;
    exports2.getSubscriptions = load_cjs_1.native.getSubscriptions;
    exports2.getSubscribers = load_cjs_1.native.getSubscribers;
  }
});

// pool/in-pool.cjs
var require_in_pool = __commonJS({
  "pool/in-pool.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    var copies_cjs_1 = require_copies();
    var report_cjs_1 = require_report();
    (0, copies_cjs_1.enterPool)((text) => report_cjs_1.warnings.emit(text));
  }
});

// pool/report-imports.cjs
var require_report_imports = __commonJS({
  "pool/report-imports.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.reportImports = reportImports;
    var node_path_1 = require("node:path");
    var nodeModule = require("node:module");
    var node_url_1 = require("node:url");
    var node_worker_threads_1 = require("node:worker_threads");
    var package_folders_cjs_1 = require_package_folders();
    function reportImports(channel) {
      const port = new node_worker_threads_1.BroadcastChannel(channel);
      port.unref();
      const report = (file) => {
        if (typeof file === "string" && isOwnFile(file))
          port.postMessage(file);
      };
      const reportUrl = (url) => {
        if (url.startsWith("file:"))
          report((0, node_url_1.fileURLToPath)(url.replace(/[?#].*$/, "")));
      };
      if (process.versions["bun"] !== void 0)
        return () => Object.keys(require.cache).forEach(report);
      const hooks = nodeModule;
      if (hooks.registerHooks !== void 0) {
        hooks.registerHooks({
          load(url, context, next) {
            reportUrl(url);
            return next(url, context);
          }
        });
        return () => void 0;
      }
      const resolve = hooks._resolveFilename;
      if (resolve !== void 0) {
        hooks._resolveFilename = function(...args) {
          const file = resolve.apply(this, args);
          report(file);
          return file;
        };
      }
      hooks.register?.(`data:text/javascript,${encodeURIComponent(LOADER)}`, {
        parentURL: (0, node_url_1.pathToFileURL)(__filename).href,
        data: channel
      });
      return () => void 0;
    }
    var LOADER = `
import { BroadcastChannel } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
let port;
export function initialize(channel) {
  port = new BroadcastChannel(channel);
  port.unref();
}
export function load(url, context, next) {
  if (url.startsWith('file:') && !url.includes('/node_modules/')) {
    port.postMessage(fileURLToPath(url.replace(/[?#].*$/, '')));
  }
  return next(url, context);
}
`;
    function isOwnFile(file) {
      return !file.includes(`${node_path_1.sep}node_modules${node_path_1.sep}`) && !file.startsWith(package_folders_cjs_1.LIB) && file.includes(node_path_1.sep);
    }
  }
});

// worker/load-errors.cjs
var require_load_errors = __commonJS({
  "worker/load-errors.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.readableError = readableError;
    exports2.explainLoadError = explainLoadError;
    var node_path_1 = require("node:path");
    var node_url_1 = require("node:url");
    var builtins_cjs_1 = require_builtins();
    var onBun = process.versions["bun"] !== void 0;
    var CHILD_TIMEOUT = 5e3;
    function readableError(error) {
      if (!onBun || typeof error !== "object" || error === null)
        return error;
      const { errors } = error;
      const messages = (Array.isArray(errors) ? errors : [error]).filter(isBuildMessage);
      if (messages.length === 0)
        return error;
      const text = messages.slice(0, 5).map(({ message, position: { file, line, column, lineText } }) => `${message}
    at ${file}:${line}:${column}
    ${lineText.slice(0, 200)}`);
      return new SyntaxError(text.join("\n"), { cause: error });
    }
    function isBuildMessage(value) {
      const { name, position } = value;
      return name === "BuildMessage" && typeof position === "object" && position !== null && typeof position.lineText === "string";
    }
    async function explainLoadError(file, error) {
      if (typeof error !== "object" || error === null || onBun)
        return "";
      const { name, code, message, stack } = error;
      if (code === "ERR_UNKNOWN_FILE_EXTENSION" && /\.[cm]?tsx?\b/.test(String(message))) {
        return `
${adviceOnTypeScript(file)}`;
      }
      if (code === "ERR_ACCESS_DENIED")
        return `
${adviceOnPermission(error)}`;
      if (name !== "SyntaxError")
        return "";
      const location = locationIn(String(stack)) ?? (/^ +at (?!.*(?:node:|<anonymous>))/m.test(String(stack)) ? "" : await locationByChild(file));
      if (code === "ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX") {
        return `${location}
Node only strips types. Compile it to JavaScript. ${adviceOnTsx(file)}`;
      }
      if (/import statement outside a module|Unexpected token 'export'/.test(String(message))) {
        return `${location}
Node treats the file as CommonJS: name it .mjs, or set "type": "module" in the nearest package.json.`;
      }
      return location;
    }
    function adviceOnPermission({ permission, resource }) {
      if (permission === "WorkerThreads") {
        return "Node's permission model forbids worker threads: run node with --allow-worker, or start with threads: 0.";
      }
      const what = typeof permission === "string" ? ` (${permission} ${String(resource)})` : "";
      return `Node's permission model forbids it${what}: allow it with flags such as --allow-fs-read and --allow-fs-write.`;
    }
    function adviceOnTypeScript(file) {
      const jsx = /x$/.test(file);
      const { node } = process.versions;
      const why = jsx ? "Node does not run .tsx" : `Node ${node} does not run TypeScript: Node 22.18 and later do, and so does Bun`;
      return `${why}. Compile it to JavaScript. ${adviceOnTsx(file)}`;
    }
    function adviceOnTsx(file) {
      return `Or use the package tsx: point "workerPath" at a file worker.cjs next to it that holds: require('tsx/cjs'); module.exports = require('./${(0, node_path_1.basename)(file)}');`;
    }
    function locationIn(text) {
      const [, where, excerpt] = /^((?:file:\/\/|\/|[A-Za-z]:\\).*:\d+)\r?\n((?:.*\r?\n){1,4}?) *\^/m.exec(text) ?? [];
      if (where === void 0 || excerpt === void 0)
        return void 0;
      const path = where.startsWith("file:") ? `${(0, node_url_1.fileURLToPath)(where.replace(/:\d+$/, ""))}${/:\d+$/.exec(where)?.[0]}` : where;
      const marks = /^ *\^+$/m.exec(text.slice(text.indexOf(where)))?.[0] ?? "";
      const lines = [...excerpt.trimEnd().split(/\r?\n/), marks];
      return lines.some((line) => line.length > 200) ? `
    at ${path}` : `
    at ${[path, ...lines].join("\n    ")}`;
    }
    async function locationByChild(file) {
      const program = `import 'data:text/javascript,process.exit(0)'; import ${JSON.stringify((0, node_url_1.pathToFileURL)(file).href)};`;
      const flags = process.execArgv.filter((flag) => /^--(experimental|conditions)\b/.test(flag));
      const said = await new Promise((resolve) => {
        try {
          const { NODE_OPTIONS: _, ...env } = process.env;
          const child = builtins_cjs_1.builtins.childProcess.execFile(process.execPath, [...flags, "--input-type=module", "-e", program], { env, timeout: CHILD_TIMEOUT, windowsHide: true }, (_2, __, stderr) => resolve(stderr));
          child.on("error", () => resolve(""));
        } catch {
          resolve("");
        }
      });
      return locationIn(said) ?? `
To see where, run: node ${JSON.stringify(file)}`;
    }
  }
});

// worker/modules.cjs
var require_modules = __commonJS({
  "worker/modules.cjs"(exports2) {
    "use strict";
    Object.defineProperty(exports2, "__esModule", { value: true });
    exports2.loadTimeoutError = loadTimeoutError;
    exports2.loadWorker = loadWorker;
    var node_fs_1 = require("node:fs");
    var node_url_1 = require("node:url");
    var node_util_1 = require("node:util");
    var errors_cjs_1 = require_errors();
    var promises_cjs_1 = require_promises();
    var report_cjs_1 = require_report();
    var handler_names_cjs_1 = require_handler_names();
    var handlers_cjs_1 = require_handlers();
    var load_errors_cjs_1 = require_load_errors();
    var register_cjs_1 = require_register();
    var registeredBy = /* @__PURE__ */ new Map();
    function loadTimeoutError(file, timeout) {
      const what = `worker ${file} did not load within ${timeout} ms ("startTimeout"): a top-level await does not settle, or top-level code does not return`;
      return new errors_cjs_1.WSBrokerError("ERR_WSBROKER_WORKER_FAILED", what);
    }
    async function loadWorker(file, timeout = 0, loaded = () => void 0) {
      const before = (0, register_cjs_1.currentRegistration)();
      register_cjs_1.thread.loading = true;
      try {
        const imported = load(file);
        if (timeout > 0 && !await (0, promises_cjs_1.within)(timeout, imported)) {
          throw giveUp(file, imported, loadTimeoutError(file, timeout));
        }
        const registration = importedWorker(file, await imported, before);
        loaded();
        await registration.ready;
        return registration;
      } catch (error) {
        const itself = (0, register_cjs_1.currentRegistration)();
        if (itself !== before)
          itself?.drop();
        throw (0, load_errors_cjs_1.readableError)(error);
      } finally {
        register_cjs_1.thread.loading = false;
      }
    }
    function giveUp(file, imported, error) {
      const real = (0, node_fs_1.realpathSync)(file);
      const late = { names: [(0, node_url_1.pathToFileURL)(real).href, real], error };
      register_cjs_1.thread.late.add(late);
      const settled = () => void register_cjs_1.thread.late.delete(late);
      imported.then(settled, settled);
      return error;
    }
    function importedWorker(file, module3, before) {
      const itself = (0, register_cjs_1.currentRegistration)();
      if (itself !== void 0 && itself !== before) {
        registeredBy.set(file, itself.handlers);
        return itself;
      }
      const again = registeredBy.get(file);
      if (again !== void 0)
        return (0, register_cjs_1.register)(file, again);
      const outer = defaultOf(module3);
      const inner = defaultOf(outer);
      const handlers = exportedHandlers(module3);
      for (const one of [outer, inner]) {
        if (!(0, handlers_cjs_1.hasHandlers)(one) && (0, handler_names_cjs_1.isClassOfHandlers)(one, handlers))
          throw (0, handler_names_cjs_1.classExported)(file, one);
      }
      const holders = [module3, outer, inner];
      if (handlers !== void 0)
        return (0, register_cjs_1.register)(file, handlers, false, holders);
      (0, handler_names_cjs_1.checkNames)(file, holders, void 0);
      (0, report_cjs_1.warnOnce)(`${file} has no handlers: every connection is accepted, and messages are discarded. Export handleOpen, handleTextMessage and so on, by name or on the default export, or call registerWorkerThread while the module loads`);
      return (0, register_cjs_1.register)(file, {}, true);
    }
    async function load(file) {
      try {
        return await import((0, node_url_1.pathToFileURL)(file).href);
      } catch (error) {
        if (!isRefusedByVm(error))
          throw error;
        const exported = require(file);
        return node_util_1.types.isModuleNamespaceObject(exported) ? exported : { default: exported };
      }
    }
    function isRefusedByVm(error) {
      const { code, message } = Object(error);
      return /^ERR_VM_DYNAMIC_IMPORT_CALLBACK_MISSING/.test(String(code)) || /ES Modules in the VM API/.test(String(message));
    }
    function exportedHandlers(module3) {
      const outer = defaultOf(module3);
      const inner = defaultOf(outer);
      const object = (0, handlers_cjs_1.hasHandlers)(outer) ? outer : (0, handlers_cjs_1.hasHandlers)(inner) ? inner : void 0;
      if (!(0, handlers_cjs_1.hasHandlers)(module3))
        return object;
      if (object === void 0)
        return module3;
      const named = handler_names_cjs_1.HANDLER_NAMES.filter((name) => module3[name] !== void 0 && module3[name] !== object[name]);
      return named.length === 0 ? object : Object.create(object, Object.fromEntries(named.map((name) => [name, { value: module3[name] }])));
    }
    function defaultOf(value) {
      return value !== null && (typeof value === "object" || typeof value === "function") ? value.default : void 0;
    }
  }
});

// merged.cjs
var modules = {
  __proto__: null,
  "api/observation.cjs": () => require_observation(),
  "api/recovery.cjs": () => require_recovery(),
  "api/sending.cjs": () => require_sending(),
  "api/servers.cjs": () => require_servers(),
  "api/sockets.cjs": () => require_sockets(),
  "api/subscriptions.cjs": () => require_subscriptions(),
  "async-scope.cjs": () => require_async_scope(),
  "builtins.cjs": () => require_builtins(),
  "clock.cjs": () => require_clock(),
  "errors.cjs": () => require_errors(),
  "logger.cjs": () => require_logger(),
  "native/copies.cjs": () => require_copies(),
  "native/load.cjs": () => require_load(),
  "native/target.cjs": () => require_target(),
  "native/vm-context.cjs": () => require_vm_context(),
  "options/advice.cjs": () => require_advice(),
  "options/channel-calls.cjs": () => require_channel_calls(),
  "options/checks.cjs": () => require_checks(),
  "options/headers.cjs": () => require_headers(),
  "options/history.cjs": () => require_history(),
  "options/inspection.cjs": () => require_inspection(),
  "package-folders.cjs": () => require_package_folders(),
  "pool/in-pool.cjs": () => require_in_pool(),
  "pool/report-imports.cjs": () => require_report_imports(),
  "promises.cjs": () => require_promises(),
  "report.cjs": () => require_report(),
  "server/bus-receipt.cjs": () => require_bus_receipt(),
  "server/on-demand.cjs": () => require_on_demand(),
  "worker/dispatch.cjs": () => require_dispatch(),
  "worker/handler-names.cjs": () => require_handler_names(),
  "worker/handlers.cjs": () => require_handlers(),
  "worker/load-errors.cjs": () => require_load_errors(),
  "worker/measured.cjs": () => require_measured(),
  "worker/modules.cjs": () => require_modules(),
  "worker/own-functions.cjs": () => require_own_functions(),
  "worker/pending-handlers.cjs": () => require_pending_handlers(),
  "worker/register.cjs": () => require_register(),
  "worker/token-cache.cjs": () => require_token_cache(),
  "worker/verdict.cjs": () => require_verdict()
};
module.exports = (file) => modules[file]();
