// What a program sees of a client. Nothing here needs the types of Node or of the DOM.
export {};
