import type { Packages } from './package-sources.cjs';
declare const packages: Packages;
export = packages;
