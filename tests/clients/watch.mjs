// What an EventSource does, told as it happens. It runs in a page as on Node: all it needs are an `EventSource` and
// `tell`, which are there already.

export async function watch({ source = 0, url, withCredentials = false, events = [], envelope }) {
  // With `compression.mode: Envelope`, by the example that users are given; this is where it is.
  const { inOrder } = envelope ? await import(envelope) : {};
  const stream = new EventSource(url, { withCredentials });
  const note = (what) => tell({ source, ...what, readyState: stream.readyState });
  stream.onopen = () => note({ is: 'open' });
  // The state tells two errors apart: 0, it tries again by itself; 2, it never will.
  stream.onerror = () => note({ is: 'error' });
  for (const type of ['message', ...events]) {
    const got = (data, { lastEventId }) => note({ is: 'event', type, data, lastEventId });
    stream.addEventListener(type, envelope ? inOrder(got) : (event) => got(event.data, event));
  }
}
