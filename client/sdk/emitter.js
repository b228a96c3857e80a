// EventTarget with typed CustomEvents: `on` for typed listeners, plain addEventListener works as well.

/** @template {Record<string, any>} Events */
export class Emitter extends EventTarget {
  /**
   * Listens until the returned function is called.
   * @template {keyof Events & string} Type
   * @param {Type} type
   * @param {(event: CustomEvent<Events[Type]>) => void} listener
   * @returns {() => void}
   */
  on(type, listener) {
    const untyped = /** @type {EventListener} */ (listener);
    this.addEventListener(type, untyped);
    return () => this.removeEventListener(type, untyped);
  }

  /**
   * @template {keyof Events & string} Type
   * @param {Type} type
   * @param {Events[Type]} detail
   */
  emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
