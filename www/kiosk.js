// @ts-check
/** A page on a wall (?kiosk=1): nothing to press (see style.css), and the screen stays on where the browser allows that. */

/** @returns {boolean} */
export function isKiosk() {
  return document.documentElement.hasAttribute("data-kiosk");
}

/** Keep the screen on. Browsers allow it only on HTTPS pages, and forget it when the page is hidden. */
export function mountKiosk() {
  if (!isKiosk()) {
    return;
  }
  const keep = () => {
    if (!document.hidden) {
      navigator.wakeLock?.request("screen").catch(() => {}); // as with a low battery: not now
    }
  };
  document.addEventListener("visibilitychange", keep);
  keep();
}
