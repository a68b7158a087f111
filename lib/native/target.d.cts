/** As napi-rs names its targets: `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`. */
export declare function platformTarget(): string;
