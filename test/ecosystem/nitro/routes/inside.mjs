// What code of the application itself reaches: the same `fetch` as that of its build.
import { useNitroApp } from 'nitro/app';
import { defineHandler } from 'nitro/h3';

export default defineHandler(async (event) => {
  const headers = { upgrade: 'websocket', connection: 'upgrade' };
  const response = await useNitroApp().fetch(new Request(new URL('/chat', event.url), { headers }));
  return { hooks: Object.keys(response.crossws ?? {}).sort() };
});
