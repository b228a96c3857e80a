// One error type for everything that can go wrong, whether the server, the network or a device said no.
// `action` is a sentence for the person: what to do next.

/**
 * Codes made by the SDK itself; all other codes come from the server (docs/protocol.md).
 * @typedef {'unreachable' | 'connection-lost' | 'left' | 'wrong-state' | 'unsupported-browser'
 *   | 'permission-denied' | 'no-device' | 'device-in-use' | 'device-lost' | 'insecure-context'
 *   | 'capture-failed' | 'share-cancelled' | 'bad-reply' | 'cannot-publish' | 'media-blocked'} ClientErrorCode
 */

export class StraitError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {string} action
   * @param {{fatal?: boolean, cause?: unknown}} [options]
   */
  constructor(code, message, action, { fatal = false, cause } = {}) {
    super(message, { cause });
    this.name = 'StraitError';
    this.code = code;
    this.action = action;
    this.fatal = fatal;
  }

  /** @param {unknown} data the `data` of an `error` message */
  static fromServer(data) {
    const { code, message, action, fatal } = /** @type {Record<string, unknown>} */ (data ?? {});
    return new StraitError(
      typeof code === 'string' ? code : 'internal',
      typeof message === 'string' ? message : 'The server reported an error.',
      typeof action === 'string' ? action : 'Try again.',
      { fatal: fatal === true },
    );
  }

  /** @param {unknown} error @returns {StraitError} */
  static from(error) {
    if (error instanceof StraitError) return error;
    const message = error instanceof Error ? error.message : String(error);
    return new StraitError('internal', message, 'Reload the page and join again.', { cause: error });
  }
}

export const connectionLost = () =>
  new StraitError('connection-lost', 'The connection to the server was lost.', 'Wait while it is restored.');

export const hasLeft = () => new StraitError('left', 'The room was left.', 'Join again to go on.');
