import { joinPool } from './copies.cjs';
import { warnings } from './report.cjs';

// Imported by the entry of a pool's threads before anything else: whatever is loaded there learns where it is.

joinPool((text) => warnings.say(text));
