// Both programs take what to watch as JSON, a line each on stdin, tell as JSON on stdout, and end when stdin does.

import { createInterface } from 'node:readline';

export const print = (note) => console.log(JSON.stringify(note));

export async function* commands() {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line);
}
