/** What `require` gave, or threw. */
export type Attempt = { readonly value: unknown } | { readonly error: unknown };

/** Where the addon for one platform may be. */
export interface AddonSource {
  /** The one that was built in this package. */
  built(): Attempt;
  /** The name of the platform's package, if this package names one in `optionalDependencies`. */
  readonly package?: string;
  /** The addon in that package. */
  installed?(): Attempt;
  /** Its package.json. */
  manifest?(): Attempt;
}

/** What the loader knows of the packages that make a release. */
export interface Packages {
  /** The name of this package, as it is published. */
  readonly name: string;
  readonly version: string;
  /** By platform, as `platformTarget` calls it. */
  readonly addons: { readonly [target: string]: AddonSource | undefined };
}
