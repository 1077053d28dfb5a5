/** What this browser remembers between visits. Everything still works where it may remember nothing. */

const PREFIX = "groundwork.";

export function makeMemory(storage) {
  return {
    read(name, fallback = null) {
      try {
        const text = storage.getItem(PREFIX + name);
        return text === null ? fallback : JSON.parse(text);
      } catch {
        return fallback;
      }
    },
    write(name, value) {
      try {
        storage.setItem(PREFIX + name, JSON.stringify(value));
      } catch {
        // Private windows and full disks: the next visit starts from the defaults.
      }
    },
  };
}
