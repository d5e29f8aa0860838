// Reads events of a stream with `compression.mode: Envelope`. For pages, as a module; needs nothing but the browser's
// own DecompressionStream (in all of them since May 2023), and works in Node 18 and later.

/**
 * The data as it was published, from the data of an event.
 * @param {string} envelope `{"compressed": false, "data": "…"}`, or `true` and base64 of gzip
 * @returns {Promise<string>}
 */
export async function unpack(envelope) {
  const { compressed, data } = JSON.parse(envelope);
  if (!compressed) return data;
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).text();
}

/**
 * A listener for `EventSource.addEventListener`. Unpacking takes a moment, and a small event must not overtake a large
 * one: each waits for those before it.
 * @param {(data: string, event: MessageEvent) => void} handle
 * @param {(error: Error, event: MessageEvent) => void} failed told of what is no envelope; what follows still comes
 */
export function inOrder(handle, failed = console.error) {
  let before = Promise.resolve();
  return (event) => {
    const unpacked = unpack(event.data);
    before = Promise.allSettled([before, unpacked]).then(([, { value, reason }]) =>
      reason ? failed(reason, event) : handle(value, event),
    );
  };
}
