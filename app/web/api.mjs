/** The JSON routes, as functions. Every failure is an ApiError whose message is one line for a person. */

/** status 0: no answer came (offline, server stopped, time ran out). */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }

  /** True when sending the same thing again can't help. Sign-in, time-outs and busy servers pass. */
  get final() {
    return this.status >= 400 && this.status < 500 && ![401, 403, 408, 425, 429].includes(this.status);
  }
}

const TIMEOUT_MS = 20_000;
const KEEPALIVE_LIMIT_BYTES = 60_000; // browsers refuse keepalive bodies above 64 KiB in all

/** @param base URL of the folder of the routes, ending in '/'. */
export function makeApi(base, fetchFn = globalThis.fetch.bind(globalThis)) {
  const url = (path) => new URL(path, base).href;
  const get = (path, signal) => call(fetchFn, url(path), { signal });
  const send = (method, path, value, options = {}) => {
    const body = JSON.stringify(value);
    return call(fetchFn, url(path), { method, body, headers: { "Content-Type": "application/json" }, ...options });
  };
  return {
    status: () => get("status"),
    datasets: () => get("datasets").then((reply) => reply.datasets),
    createDataset: (name) => send("POST", "datasets", { name }),
    exampleList: () => get("examples").then((reply) => reply.examples),
    exampleUrl: (file) => url(`examples/${encodeURIComponent(file)}`),
    examples: () => send("POST", "datasets/examples", {}),
    importPath: (name, path) => send("POST", "datasets/import", { name, path, format: "auto" }),
    upload: (datasetId, file) =>
      call(fetchFn, url(`datasets/${datasetId}/upload?name=${encodeURIComponent(file.name)}`), {
        method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" }, timeoutMs: 300_000,
      }),
    images: (datasetId, query) => get(`datasets/${datasetId}/images?${new URLSearchParams(query)}`),
    categories: (datasetId) => get(`datasets/${datasetId}/categories`).then((reply) => reply.categories ?? reply),
    addCategory: (datasetId, name) => send("POST", `datasets/${datasetId}/categories`, { name }),
    changeCategory: (id, fields) => send("PATCH", `categories/${id}`, fields),
    deleteCategory: (id) => call(fetchFn, url(`categories/${id}`), { method: "DELETE" }),
    shapes: (imageId, signal) => get(`images/${imageId}/shapes`, signal),
    edit: (imageId, edit) => {
      const keepalive = JSON.stringify(edit).length < KEEPALIVE_LIMIT_BYTES; // it outlives a closed tab
      return send("POST", `images/${imageId}/edits`, edit, { keepalive });
    },
    segment: (imageId, request, signal) =>
      send("POST", `images/${imageId}/segment`, request, { signal, timeoutMs: 120_000 }),
    detect: (datasetId, request) => send("POST", `datasets/${datasetId}/detect`, request),
    job: (id) => get(`jobs/${id}`),
    stopJob: (id) => send("POST", `jobs/${id}/stop`, {}),
    pixelsUrl: (imageId, width) => url(`images/${imageId}/pixels${width ? `?w=${width}` : ""}`),
    thumbnailUrl: (imageId) => url(`images/${imageId}/thumbnail`),
  };
}

async function call(fetchFn, url, { signal, timeoutMs = TIMEOUT_MS, ...options }) {
  const limit = AbortSignal.timeout(timeoutMs);
  let response;
  try {
    response = await fetchFn(url, { ...options, signal: signal ? AbortSignal.any([signal, limit]) : limit });
  } catch (error) {
    if (signal?.aborted) throw error; // the caller changed its mind: not a fault to report
    throw new ApiError("Groundwork does not answer. Is it still running in its terminal?", 0);
  }
  const text = await response.text();
  if (!response.ok) throw new ApiError(lineOf(text, response.status), response.status);
  return text ? JSON.parse(text) : null;
}

/** The one line of an error reply: our {"error"}, FastAPI's {"detail"}, else the status. */
export function lineOf(text, status) {
  try {
    const reply = JSON.parse(text);
    if (typeof reply.error === "string") return reply.error;
    if (typeof reply.detail === "string") return reply.detail;
    if (Array.isArray(reply.detail) && reply.detail[0]?.msg) return reply.detail[0].msg;
  } catch {
    // A proxy's page or nothing at all: the status says more than its text.
  }
  if (status === 401) return "You are signed out. Reload the page to sign in; unsent edits are kept.";
  return `The server answered ${status}. See the terminal Groundwork runs in.`;
}
