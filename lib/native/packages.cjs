"use strict";
// Bundlers see what is required, since literals name it. Each require has a try of its own, so that
// they do not miss what is not there.
const packages = {
    name: 'wsbroker',
    version: '0.1.0',
    addons: {
        'darwin-arm64': {
            built: () => {
                try {
                    return { value: require('../wsbroker.darwin-arm64.node') };
                }
                catch (error) {
                    return { error };
                }
            },
        },
        'darwin-x64': {
            built: () => {
                try {
                    return { value: require('../wsbroker.darwin-x64.node') };
                }
                catch (error) {
                    return { error };
                }
            },
        },
        'linux-arm64-gnu': {
            built: () => {
                try {
                    return { value: require('../wsbroker.linux-arm64-gnu.node') };
                }
                catch (error) {
                    return { error };
                }
            },
        },
        'linux-arm64-musl': {
            built: () => {
                try {
                    return { value: require('../wsbroker.linux-arm64-musl.node') };
                }
                catch (error) {
                    return { error };
                }
            },
        },
        'linux-x64-gnu': {
            built: () => {
                try {
                    return { value: require('../wsbroker.linux-x64-gnu.node') };
                }
                catch (error) {
                    return { error };
                }
            },
        },
        'linux-x64-musl': {
            built: () => {
                try {
                    return { value: require('../wsbroker.linux-x64-musl.node') };
                }
                catch (error) {
                    return { error };
                }
            },
        },
        'win32-arm64-msvc': {
            built: () => {
                try {
                    return { value: require('../wsbroker.win32-arm64-msvc.node') };
                }
                catch (error) {
                    return { error };
                }
            },
        },
        'win32-x64-msvc': {
            built: () => {
                try {
                    return { value: require('../wsbroker.win32-x64-msvc.node') };
                }
                catch (error) {
                    return { error };
                }
            },
        },
    },
};
module.exports = packages;
