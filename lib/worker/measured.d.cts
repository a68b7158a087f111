/** How many calls there are to the next one that is measured, that one included. */
export declare function untilNextMeasured(): number;
