// Requests to the page's own server. The token is part of the address, as in Jupyter.

const token = new URLSearchParams(location.search).get("token") || "";

export class RequestError extends Error {
  constructor(problem, remedy = "", lost = false) {
    super(problem);
    this.remedy = remedy;
    this.lost = lost;
  }
}

async function send(path, method = "GET", body = undefined, signal = undefined) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      signal,
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError("The notebook's process does not answer.", "Run its cell again and open the address that it shows.", true);
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new RequestError(problem.error || `Status ${answer.status}`, problem.remedy || "", answer.status === 401);
  }
  return answer;
}

export const text = async (path) => (await send(path)).text();
export const get = async (path) => (await send(path)).json();
export const post = async (path, body = {}) => (await send(path, "POST", body)).json();
export const remove = async (path) => (await send(path, "DELETE")).json();

// The objects of a stream, one per line.
export async function* lines(path, method = "GET", body = undefined, signal = undefined) {
  const answer = await send(path, method, body, signal);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) if (part) yield JSON.parse(part);
    }
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError("The notebook's process stopped answering.", "Run its cell again and open the address that it shows.", true);
  } finally {
    reader.cancel().catch(() => {});
  }
}
