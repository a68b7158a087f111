import { joinPool } from '../native/copies.cjs';
import { warnings } from '../report.cjs';

// Imported by the entry point of a pool's threads before anything else, so that everything loaded
// there knows where it runs.

joinPool((text) => warnings.say(text));
