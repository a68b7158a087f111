// Packages of a later Debian than this machine's, unpacked into a folder. apt works on lists and
// states of its own there: nothing of the system changes, and no root is needed. The packages'
// scripts do not run.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { command, must, works } from './commands.mjs';

const RELEASE = 'trixie';
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Where this machine takes Debian's packages from. A relative of Debian's has packages of its own. */
function mirror() {
  const targets = command('apt-get', ['indextargets', '--format', '$(ORIGIN) $(REPO_URI)', 'Created-By: Packages']);
  return /^Debian (\S+\/debian\/?)$/m.exec(targets.stdout ?? '')?.[1] ?? 'https://deb.debian.org/debian';
}

/** Why there can be no packages of Debian here, or undefined. */
export function lacking() {
  if (!works('apt-get', '--version')) return { why: 'no apt-get, which other systems are made with', enable: 'run it on Debian or Ubuntu' };
  if (!existsSync(KEYRING)) return { why: `no ${KEYRING}, without which packages of Debian are not trusted`, enable: 'apt-get install debian-archive-keyring' };
  return undefined;
}

/** A list of packages of its own, below `folder`, for these architectures (`amd64`, `arm64`). */
export class Debian {
  constructor(folder, architectures) {
    this.folder = folder;
    const state = path.join(folder, 'apt');
    for (const name of ['lists/partial', 'cache/archives/partial', 'empty']) mkdirSync(path.join(state, name), { recursive: true });
    writeFileSync(path.join(state, 'status'), '');
    const uri = mirror();
    const source = (suite) => `deb [signed-by=${KEYRING}] ${uri} ${suite} main\n`;
    writeFileSync(path.join(state, 'sources.list'), source(RELEASE) + source(`${RELEASE}-backports`));
    const empty = path.join(state, 'empty');
    this.config = path.join(state, 'apt.conf');
    writeFileSync(
      this.config,
      `Dir::State "${state}";
Dir::State::status "${state}/status";
Dir::Cache "${state}/cache";
Dir::Etc::SourceList "${state}/sources.list";
Dir::Etc::SourceParts "${empty}";
Dir::Etc::Parts "${empty}";
Dir::Etc::Preferences "${empty}/none";
Dir::Etc::PreferencesParts "${empty}";
APT::Architecture "${architectures[0]}";
APT::Architectures { ${architectures.map((name) => `"${name}";`).join(' ')} };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
`,
    );
    this.apt(['update', '-qq']);
  }

  apt(args, options) {
    return must('apt-get', args, { ...options, env: { APT_CONFIG: this.config } });
  }

  /** The newest version of a package that begins so, or undefined. */
  version(name, start) {
    const { stdout = '' } = command('apt-cache', ['madison', name], { env: { APT_CONFIG: this.config } });
    return stdout.split('\n').map((line) => line.split('|')[1]?.trim()).find((version) => version?.startsWith(start));
  }

  /**
   * Unpacks packages (`musl`, `musl:arm64`, `rust-src=1.2.3`) into a folder; with `dependencies`
   * all that they need, too.
   */
  unpack(names, into, { dependencies = false } = {}) {
    // Renamed when it is whole: what was interrupted is not there.
    const [archives, whole] = [`${into}.debs`, `${into}.new`];
    for (const folder of [archives, whole]) rmSync(folder, { recursive: true, force: true });
    mkdirSync(path.join(archives, 'partial'), { recursive: true });
    mkdirSync(whole);
    if (dependencies) this.apt(['install', '-qq', '-y', '--download-only', '-o', `Dir::Cache::archives=${archives}`, ...names]);
    else this.apt(['download', '-qq', ...names], { cwd: archives });
    for (const file of readdirSync(archives).sort()) {
      if (file.endsWith('.deb')) must('dpkg-deb', ['-x', path.join(archives, file), whole]);
    }
    rmSync(archives, { recursive: true });
    rmSync(into, { recursive: true, force: true });
    renameSync(whole, into);
  }
}
