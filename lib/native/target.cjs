"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.platformTarget = platformTarget;
const node_fs_1 = require("node:fs");
/** As napi-rs names its targets: `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`. */
function platformTarget() {
    const { platform, arch } = process;
    switch (platform) {
        case 'linux':
            return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}${arch === 'arm' ? 'eabihf' : ''}`;
        case 'win32':
            return `win32-${arch}-msvc`;
        default:
            return `${platform}-${arch}`;
    }
}
/**
 * By the system's own loader; the runtime's report knows too, but takes long to make, and Bun's
 * does not say.
 */
function isMusl() {
    try {
        const ldd = (0, node_fs_1.readFileSync)('/usr/bin/ldd', 'latin1');
        if (ldd.includes('musl'))
            return true;
        if (/GNU C Library|GLIBC/i.test(ldd))
            return false;
    }
    catch {
        // Not every image has ldd.
    }
    try {
        return (0, node_fs_1.readdirSync)('/lib').some((name) => name.startsWith('ld-musl-'));
    }
    catch {
        return false;
    }
}
