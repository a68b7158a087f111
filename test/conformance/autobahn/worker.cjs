'use strict';
// Sends back what comes.
const { send } = require('wsbroker');

exports.handleTextMessage = (text, id) => void send(id, text);
exports.handleBinaryMessage = (bytes, id) => void send(id, bytes);
