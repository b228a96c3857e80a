// How the page looks, and that a phone's screen stays on in a call.

import { loadPreferences } from './preferences.js';

export function applyTheme() {
  const { theme } = loadPreferences();
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

/** Keeps the screen on, as long as the page can be seen. @returns {() => void} lets it go dark again */
export function keepScreenOn() {
  /** @type {WakeLockSentinel | null} */
  let lock = null;
  let isOver = false;
  const take = async () => {
    if (document.visibilityState !== 'visible' || isOver) return;
    try {
      lock = (await navigator.wakeLock?.request('screen')) ?? null;
      if (isOver) void lock?.release();
    } catch {
      // Where the battery is low, the system does as it likes.
    }
  };
  const again = () => void take();
  document.addEventListener('visibilitychange', again);
  void take();
  return () => {
    isOver = true;
    document.removeEventListener('visibilitychange', again);
    void lock?.release().catch(() => {});
  };
}
