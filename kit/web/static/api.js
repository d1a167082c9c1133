// Requests to the page's own server. The token comes with the address, as Jupyter's does.

const token = new URLSearchParams(location.search).get("token") || "";

export class Refused extends Error {
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
    throw new Refused("The notebook's process does not answer.", "Run its cell again, and open the address that it shows.", true);
  }
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Refused(said.error || `Status ${answer.status}`, said.remedy || "", answer.status === 401);
  }
  return answer;
}

export const get = async (path) => (await send(path)).json();
export const post = async (path, body = {}) => (await send(path, "POST", body)).json();
export const remove = async (path) => (await send(path, "DELETE")).json();

// The objects of a stream, a line each, as they come.
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
    throw new Refused("The notebook's process broke off.", "Run its cell again, and open the address that it shows.", true);
  } finally {
    reader.cancel().catch(() => {});
  }
}
