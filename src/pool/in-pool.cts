import { enterPool } from '../native/copies.cjs';
import { warnings } from '../report.cjs';

// Imported by the entry of the pool's threads before anything else, so that all other modules know
// that they run in a pool.

enterPool((text) => warnings.emit(text));
