// What React reads of an object that changes: a value that is another one only if something of it is different, and news of that.

/**
 * @template Value
 * @typedef {object} Store for `useSyncExternalStore`
 * @property {(notify: () => void) => () => void} subscribe
 * @property {() => Value} read
 */

/**
 * @template Value
 * @param {() => Value} look what there is now
 * @param {(before: Value, now: Value) => boolean} isSame
 * @param {(onNews: () => void) => (() => void)} listen calls when there may be something else; answers how to stop
 * @returns {Store<Value>}
 */
export function makeStore(look, isSame, listen) {
  let value = look();
  const refresh = () => {
    const now = look();
    if (isSame(value, now)) return false;
    value = now;
    return true;
  };
  return {
    subscribe(notify) {
      const stop = listen(() => {
        if (refresh()) notify();
      });
      // What has happened since it was rendered: React looks again by itself.
      refresh();
      return stop;
    },
    read: () => value,
  };
}

/**
 * Whether both have the same under each name.
 * @param {object} one
 * @param {object} other
 */
export function isAlike(one, other) {
  const [left, right] = [Object.entries(one), Object.entries(other)];
  const values = new Map(right);
  return left.length === right.length && left.every(([name, value]) => Object.is(values.get(name), value));
}

/**
 * Listens to several events of one object; answers how to stop.
 * @template {string} Type
 * @param {{on(type: Type, listener: () => void): () => void}} emitter
 * @param {readonly Type[]} types
 * @param {() => void} listener
 */
export function listenTo(emitter, types, listener) {
  const stops = types.map((type) => emitter.on(type, listener));
  return () => stops.forEach((stop) => stop());
}
