/** One server-sent event. */
export interface ServerEvent {
  /** `message` where the event has no name. */
  readonly event: string;
  readonly data: string;
}

/** The events of a stream; comments, and events without data, are passed over. WHATWG HTML, section 9.2.6. */
export async function* serverEvents(
  stream: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerEvent, void, undefined> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let event = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      // A CR at the end may be half of a CR LF: it stays until more is known.
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield { event: event === '' ? 'message' : event, data: data.join('\n') };
          event = '';
          data = [];
        } else if (line.startsWith('data:')) data.push(fieldOf(line, 5));
        else if (line.startsWith('event:')) event = fieldOf(line, 6);
      }
    }
  } finally {
    // A reader that stops early must not leave the connection open.
    await reader.cancel().catch(() => undefined);
  }
}

const fieldOf = (line: string, start: number): string => line.slice(line[start] === ' ' ? start + 1 : start);
