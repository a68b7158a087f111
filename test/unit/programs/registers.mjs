import * as wsbroker from '../../../lib/index.mjs';

wsbroker.registerWorkerThread({ handleTextMessage() {} });
console.log(typeof wsbroker.send, typeof wsbroker.WSBrokerError, typeof wsbroker.start, wsbroker.default.send === wsbroker.send);
