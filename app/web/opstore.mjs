/** Unsent edits in IndexedDB: a closed tab or a dead server loses none of them. */

import { memoryStorage } from "./outbox.mjs";

const TABLE = "unsent";

/**
 * The storage an Outbox wants. Falls back to memory where the browser has no IndexedDB.
 *
 * @param workspace its path: the same address may serve another workspace tomorrow, whose images have the same ids
 */
export function openOpStore(workspace, factory = globalThis.indexedDB) {
  if (!factory) return memoryStorage();
  const database = opened(factory, `groundwork ${workspace}`);
  database.catch(() => {}); // reported by whoever uses it
  const run = async (mode, work) => {
    const transaction = (await database).transaction(TABLE, mode, { durability: "strict" });
    return settled(work(transaction.objectStore(TABLE)));
  };
  return {
    all: () => run("readonly", (table) => table.getAll()),
    put: (entry) => run("readwrite", (table) => table.put(entry)),
    delete: (opId) => run("readwrite", (table) => table.delete(opId)),
  };
}

function opened(factory, name) {
  const request = factory.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(TABLE, { keyPath: "op_id" });
  return settled(request);
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
