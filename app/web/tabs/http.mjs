/** The JSON routes as two functions; a failure is an ApiError whose message is one line for a person. */

import { ApiError, lineOf } from "../api.mjs";

const BASE = new URL("../../../api/", import.meta.url);
const TIMEOUT_MS = 60_000;

export function getJson(path) {
  return call(path, {});
}

export function sendJson(path, value = {}, method = "POST") {
  return call(path, { method, body: JSON.stringify(value), headers: { "Content-Type": "application/json" } });
}

/** The address of a picture that is fetched first, so that a failure can be told in words; the caller revokes it. */
export async function getPicture(path) {
  return URL.createObjectURL(await (await answered(path, {})).blob());
}

export function apiUrl(path) {
  return new URL(path, BASE).href;
}

async function call(path, options) {
  const text = await (await answered(path, options)).text();
  return text ? JSON.parse(text) : null;
}

async function answered(path, options) {
  let response;
  try {
    response = await fetch(apiUrl(path), { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiError("Groundwork does not answer. Is it still running in its terminal?", 0);
  }
  if (!response.ok) throw new ApiError(lineOf(await response.text(), response.status), response.status);
  return response;
}
