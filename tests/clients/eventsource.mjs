// The package `eventsource` on Node.

import { EventSource } from 'eventsource';

import { commands, print } from './commands.mjs';
import { watch } from './watch.mjs';

globalThis.tell = print;
for await (const { headers = {}, ...options } of commands()) {
  // Here a header can be set, which a browser's EventSource has no way for.
  const withHeaders = (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...headers } });
  globalThis.EventSource = class extends EventSource {
    constructor(url, init) {
      super(url, { ...init, fetch: withHeaders });
    }
  };
  await watch(options);
}
process.exit();
