// Loaded before the first paint, so that a page never flashes in the other theme.
(() => {
  const root = document.documentElement;
  try {
    const stored = localStorage.getItem("credboard-theme");
    if (stored === "light" || stored === "dark") root.dataset.theme = stored;
  } catch {
    // A browser that forbids storage keeps the theme of the system.
  }
  root.classList.add("js");
})();
