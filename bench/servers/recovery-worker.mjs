import { serveChannels } from 'wsbroker/channels';

export default serveChannels({ authorize: () => ({ sender: 'bench' }) });
