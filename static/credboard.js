// What a page does beyond links and forms. Everything works without it; nothing here knows anything about credentials.
(() => {
  "use strict";
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;
  // What an element can be found by again after a swap: cells of the matrix have no id, but an address of their own.
  const nameOf = (element) =>
    element?.id ? `#${CSS.escape(element.id)}`
    : element?.matches(".matrix a") ? `.matrix a[href="${CSS.escape(element.getAttribute("href"))}"]`
    : "";
  const named = (name) => (name ? one(name) : null);

  // Theme: light, dark, or (nothing stored) that of the system.
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-toggle]")) return;
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    try {
      localStorage.setItem("credboard-theme", next);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  });

  // Times: the words of `matrix.words`, kept up to date.
  const words = (seconds, bare) => {
    const length = Math.abs(seconds);
    const text =
      length < 60 ? `${Math.floor(length)} s`
      : length < 3600 ? `${Math.floor(length / 60)} min`
      : length < 172800 ? `${Math.floor(length / 3600)} h`
      : `${Math.floor(length / 86400)} d`;
    return bare ? text : seconds <= 0 ? `${text} ago` : `in ${text}`;
  };
  // The clock of this computer may be wrong, so times are told by the server's.
  const skew = Date.parse(root.dataset.now || "") - Date.now() || 0;
  const tell = () => {
    const now = Date.now() + skew;
    for (const time of all("time[datetime]")) {
      const text = words((Date.parse(time.dateTime) - now) / 1000, time.dataset.bare !== undefined);
      if (time.textContent !== text) time.textContent = text;
    }
  };

  // Refresh: an element with data-refresh="10" asks again every 10 s while the page is looked at. What it shows has a tag
  // (data-seen), and the server answers 304 to the same, so nothing moves under the reader's hand without need.
  const lastAsked = new WeakMap();
  const isBeingRead = (element) => {
    const selection = getSelection();
    return !selection.isCollapsed && selection.anchorNode && element.contains(selection.anchorNode);
  };
  setInterval(() => {
    if (document.visibilityState !== "visible") return;
    tell();
    for (const element of all("[data-refresh]")) {
      const asked = lastAsked.get(element);
      if (asked === undefined) lastAsked.set(element, Date.now());
      else if (Date.now() - asked >= element.dataset.refresh * 1000 - 100 && !isBeingRead(element)) {
        lastAsked.set(element, Date.now());
        htmx.trigger(element, "refresh");
      }
    }
  }, 1000);

  document.addEventListener("htmx:configRequest", (event) => {
    const { elt, headers, parameters, triggeringEvent } = event.detail;
    if (triggeringEvent?.type === "refresh" && elt.dataset.seen) headers["HX-PTag"] = elt.dataset.seen;
    if (elt.matches("form.filters")) {
      for (const [name, value] of [...parameters.entries()]) if (value === "") parameters.delete(name);
    }
  });

  // One answer at a time for each element: a second one would come to an element that the first has replaced, and be lost.
  // What the reader asks for ends whatever is under way; a refresh waits for its next turn.
  const underWay = new WeakMap();
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { target, xhr, requestConfig } = event.detail;
    const before = underWay.get(target);
    if (before && before.readyState > XMLHttpRequest.UNSENT && before.readyState < XMLHttpRequest.DONE) {
      if (requestConfig.triggeringEvent?.type === "refresh") {
        event.preventDefault();
        return;
      }
      before.abort();
    }
    underWay.set(target, xhr);
  });

  // Whatever is swapped in, the reader keeps focus, scroll position and what was opened.
  let kept = []; // more than one: the matrix and the drawer over it may be swapped before the first has settled
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr, target } = event.detail;
    if (/^\s*<!doctype/i.test(xhr.responseText)) {
      // A whole page where a part was asked for: the session has ended.
      event.detail.shouldSwap = false;
      location.reload();
      return;
    }
    if (!event.detail.shouldSwap) return;
    const frame = one("[data-keep-scroll]", target);
    kept.push({
      focus: nameOf(document.activeElement),
      isStep: ["click", "submit"].includes(event.detail.requestConfig.triggeringEvent?.type),
      left: frame?.scrollLeft,
      top: event.detail.requestConfig.triggeringEvent?.type === "refresh" ? frame?.scrollTop : 0,
      open: all("details[open][id]").map((details) => details.id),
    });
  });
  const restore = () => {
    tell();
    for (const { focus, isStep, left, top, open } of kept) {
      const frame = one("#matrix [data-keep-scroll]");
      if (frame && left !== undefined) frame.scrollTo({ left, top, behavior: "instant" });
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      if (focus && document.activeElement === document.body) {
        named(focus)?.focus({ preventScroll: true });
      }
      // What was pressed is gone: the next step of the drawer begins at its heading.
      const heading = drawer?.open && one("#drawer-title");
      if (heading && isStep && document.activeElement === document.body) {
        heading.tabIndex = -1;
        heading.focus({ preventScroll: true });
      }
    }
    kept = [];
  };
  document.addEventListener("htmx:afterSettle", restore);

  // A server that does not answer is said so; what is shown is then from before.
  const offline = (is) => {
    const banner = one("#offline");
    if (!banner || banner.hidden === !is) return;
    banner.hidden = !is;
    if (is) one("time", banner).textContent = new Date().toLocaleTimeString([], { timeStyle: "short" });
  };
  document.addEventListener("htmx:sendError", () => offline(true));
  document.addEventListener("htmx:timeout", () => offline(true));
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.xhr?.status >= 500) offline(true);
    else if (event.detail.xhr?.status) offline(false);
  });

  // History: htmx would restore whole bodies, so its own is off and we move between URLs ourselves.
  const announce = (text) => {
    const region = one("#announce");
    if (region) region.textContent = text;
  };
  const syncFilters = (typing = null) => {
    const form = one("form.filters");
    if (!form) return;
    const query = new URLSearchParams(location.search);
    for (const field of form.elements) {
      if (field.name && field !== typing) field.value = query.get(field.name) ?? "";
    }
  };
  // The search follows the typing hand; the other filters their choice. (htmx's own "change" would also fire when the
  // search loses focus to a link, and overtake that link.)
  let typed = 0;
  const filter = (form) => {
    clearTimeout(typed);
    htmx.trigger(form, "filter");
  };
  document.addEventListener("input", ({ target }) => {
    if (!target.matches("form.filters #q")) return;
    clearTimeout(typed);
    typed = setTimeout(filter, 300, target.form);
  });
  document.addEventListener("change", ({ target }) => {
    if (target.matches("form.filters :not(#q)")) filter(target.form);
  });
  let isFiltered = false;
  document.addEventListener("htmx:pushedIntoHistory", (event) => {
    if (event.detail.path !== location.pathname + location.search) history.pushState({}, "", event.detail.path);
    const typing = document.activeElement;
    syncFilters(typing?.closest("form.filters") ? typing : null);
    isFiltered = true;
  });
  // The address changes before what is shown does.
  document.addEventListener("htmx:afterSettle", () => {
    if (isFiltered) announce(one("[data-summary]")?.dataset.summary ?? "");
    isFiltered = false;
  });

  // Drawer: a cell's own page, shown over this one.
  const drawer = one("#drawer");
  let opener = "";
  let title = "";
  let leaving = false;
  const open = (url, push) => {
    one("#drawer-body").replaceChildren(one("#drawer-loading").content.cloneNode(true));
    drawer.showModal();
    title ||= document.title;
    if (push) history.pushState({ drawer: url }, "", url);
    htmx.ajax("GET", url, { target: "#cell", swap: "outerHTML" }).then(() => {
      const heading = one("#drawer-title");
      if (heading) document.title = `${heading.textContent.trim()} · Credboard`;
    });
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-drawer], .matrix a.cell");
    if (!link || !drawer || drawer.open || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    opener = nameOf(link);
    open(link.href, true);
  });
  drawer?.addEventListener("click", (event) => {
    if (event.target === drawer || event.target.closest("[data-close]")) drawer.close();
  });
  drawer?.addEventListener("close", () => {
    one("#drawer-body").replaceChildren();
    if (title) document.title = title;
    title = "";
    if (history.state?.drawer) {
      leaving = true;
      history.back();
    }
    named(opener)?.focus({ preventScroll: true });
    const matrix = one("#matrix");
    if (matrix) htmx.trigger(matrix, "refresh");
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.detail.target?.id === "cell" && event.detail.xhr.status < 500 && !event.detail.elt.dataset?.refresh) {
      location.assign(event.detail.pathInfo.requestPath);
    }
  });
  addEventListener("popstate", (event) => {
    if (event.state?.drawer) {
      if (drawer && !drawer.open) open(event.state.drawer, false);
    } else if (drawer?.open) drawer.close();
    else if (leaving) leaving = false;
    else if (one("#matrix")) {
      htmx.ajax("GET", location.pathname + location.search, { target: "#matrix", swap: "outerHTML" }).then(() => syncFilters());
    } else location.reload();
  });

  // Copy what stands in a block of commands.
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = one("pre", button.closest(".code"));
    try {
      await navigator.clipboard.writeText(source.textContent);
      announce("Copied");
      button.classList.add("done");
      setTimeout(() => button.classList.remove("done"), 1500);
    } catch {
      // Without the right to the clipboard (plain HTTP): selected, for the reader to copy.
      getSelection().selectAllChildren(source);
    }
  });

  // Keyboard: "/" searches; arrow keys walk the matrix; Escape closes a menu.
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const focus = document.activeElement;
    if (event.key === "/" && !focus.closest("input, textarea, select, [contenteditable]") && !drawer?.open) {
      const search = one("[data-search]");
      if (search) {
        event.preventDefault();
        search.focus();
        search.select();
      }
      return;
    }
    if (event.key === "Escape") {
      const menu = focus.closest("details.menu[open]");
      if (menu) {
        menu.removeAttribute("open");
        one("summary", menu).focus();
      }
      return;
    }
    const from = focus.closest(".matrix tbody td, .matrix tbody th");
    const [down, right] = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1] }[event.key] ?? [];
    if (!from || down === undefined) return;
    event.preventDefault();
    let row = from.parentElement;
    let column = from.cellIndex;
    for (;;) {
      if (down) row = down > 0 ? row.nextElementSibling : row.previousElementSibling;
      column += right;
      const cell = row?.children[column];
      if (!cell) return;
      const link = one("a", cell);
      if (link) {
        link.focus();
        return;
      }
    }
  });
  document.addEventListener("click", (event) => {
    for (const menu of all("details.menu[open]")) if (!menu.contains(event.target)) menu.removeAttribute("open");
  });
})();
