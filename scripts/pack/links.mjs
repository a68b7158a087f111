// Links of Markdown files, as they are in a package. On a package's page relative links lead
// nowhere, and not every file is packed.
import path from 'node:path';

/**
 * The text of `file`, with its relative links changed:
 *
 * - with `base`, the address of the repository's files, those in the README and those to files that
 *   are not packed lead there;
 * - without it, links to files that are not packed become plain text.
 *
 * @param {string} text
 * @param {string} file its path in the package, with `/`
 * @param {readonly string[]} packed the paths of all files in the package
 * @param {string | undefined} base
 */
export function packedLinks(text, file, packed, base) {
  const isPacked = (target) => packed.some((one) => one === target || one.startsWith(`${target.replace(/\/$/, '')}/`));
  return outsideOfCode(text, (part) =>
    part.replace(/\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)/g, (link, words, address) => {
      if (/^(#|[a-z][a-z+.-]*:)/i.test(address)) return link;
      const [to, anchor] = address.split(/(?=#)/);
      const target = path.posix.normalize(path.posix.join(path.posix.dirname(file), to));
      if (isPacked(target) && !(base !== undefined && file === 'README.md')) return link;
      return base === undefined ? words : `[${words}](${base}/${target}${anchor ?? ''})`;
    }),
  );
}

/** Changes what is not in a fenced or indented block. */
function outsideOfCode(text, change) {
  const parts = text.split(/^(```[\s\S]*?^```|~~~[\s\S]*?^~~~)/m);
  return parts.map((part, at) => (at % 2 === 0 ? change(part) : part)).join('');
}
