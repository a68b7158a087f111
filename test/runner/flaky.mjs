// A failure that does not come again. The machine of a run may have stood still at the wrong
// moment, and it may be a race in what is tested: both are shown at the end of the run as flaky,
// with the output kept, and only a few are borne.
import { failedFiles } from './counts.mjs';

/** So many files of a run may be flaky; with FLAKY_FILES=0 each failure fails the run. */
const BORNE = Number(process.env.FLAKY_FILES ?? 2);
/** A file with a failure runs so often again, and must pass each time. */
export const AGAIN = 3;

let seen = 0;

/**
 * The files in which these tests failed, if each of them passes AGAIN times by `rerun(file)`, which
 * resolves to whether it has passed. Empty if one does not, or if there are more than are borne.
 */
export async function flakyFiles(output, rerun) {
  const files = failedFiles(output);
  if (files.length === 0 || seen + files.length > BORNE) return [];
  for (const file of files) for (let i = 0; i < AGAIN; i++) if (!await rerun(file, i)) return [];
  seen += files.length;
  return files;
}
