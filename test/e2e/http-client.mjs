// Asks a server by HTTP.
import http from 'node:http';
import https from 'node:https';

import { within } from './harness.mjs';

/** Asks, and reads the whole response. */
export function ask(server, path = '/', { method = 'GET', headers = {}, body, ca, agent = false, at = server.at } = {}) {
  const { request } = ca === undefined ? http : https;
  const answer = new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port: at.port, path, method, headers, ca, agent }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(pieces).toString() }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
  return within(answer, `${method} ${path}`, 30_000, () => server.note());
}
