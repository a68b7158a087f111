// A GraphQL server over its adapter for crossws. What one worker publishes, the subscriptions of all workers get.
import { threadId } from 'node:worker_threads';
import { buildSchema } from 'graphql';
import { makeHooks } from 'graphql-ws/use/crossws';

import { crosswsWorker } from '../../../lib/crossws.mjs';

const schema = buildSchema(`
  type Query { thread: Int!, hello(name: String!): String! }
  type Mutation { publish(text: String!): Boolean! }
  type Subscription { count(to: Int!): Int!, news: String! }
`);

const news = new BroadcastChannel('news');
const heard = new Set();
news.onmessage = ({ data }) => heard.forEach((hear) => hear(data));

/** What is published from now on, until the subscription ends. */
function subscription() {
  const texts = [];
  let wake = () => {};
  const hear = (text) => {
    texts.push(text);
    wake();
  };
  heard.add(hear);
  return {
    async next() {
      while (texts.length === 0) await new Promise((resolve) => (wake = resolve));
      return { value: { news: texts.shift() }, done: false };
    },
    async return() {
      heard.delete(hear);
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

const roots = {
  query: { thread: threadId, hello: ({ name }) => `hello ${name}` },
  mutation: {
    publish({ text }) {
      news.postMessage(text);
      heard.forEach((hear) => hear(text));
      return true;
    },
  },
  subscription: {
    async *count({ to }) {
      for (let i = 1; i <= to; i++) yield { count: i };
    },
    news: subscription,
  },
};

export default crosswsWorker({
  hooks: makeHooks({
    schema,
    roots,
    onConnect: ({ connectionParams }) => connectionParams?.key === 'k-123',
  }),
});
