// @ts-check
/** The page's elements. They are changed only where that makes a difference. */

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const node = document.getElementById(id);
  if (!(node instanceof kind)) {
    throw new Error(`the page has no ${kind.name} #${id}`);
  }
  return node;
}

/**
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  const only = node.firstChild;
  if (only instanceof Text && only === node.lastChild && text) {
    if (only.data !== text) {
      only.data = text; // cheaper than a new one, which is laid out anew
    }
  } else if (node.textContent !== text) {
    node.textContent = text;
  }
}

/**
 * @param {HTMLElement} node
 * @param {boolean} hidden
 */
export function setHidden(node, hidden) {
  if (node.hidden !== hidden) {
    node.hidden = hidden;
  }
}

/**
 * The name of a model, whose end tells more than its beginning: where there is no
 * room for hf.co/owner/model, the beginning is cut: first of the owner, then of
 * the model.
 *
 * @param {Element} node
 * @param {string} text
 */
export function setName(node, text) {
  if (node.textContent !== text) {
    const at = text.lastIndexOf("/") + 1;
    node.replaceChildren(...(at ? [make("span", { class: "front" }, text.slice(0, at))] : []), make("span", { class: "end" }, make("bdi", {}, text.slice(at))));
  }
}

/**
 * @param {Element} node
 * @param {string} name
 * @param {string | null} value  null: remove it
 */
export function setAttr(node, name, value) {
  if (node.getAttribute(name) !== value) {
    if (value === null) {
      node.removeAttribute(name);
    } else {
      node.setAttribute(name, value);
    }
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attrs]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

/** @param {string} text  that screen readers say, once */
export function announce(text) {
  setText(byId("announce", HTMLElement), text);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let noticeTimer;

/**
 * Show a message at the bottom of the page for a while.
 *
 * @param {string} text
 */
export function notice(text) {
  const node = byId("notice", HTMLElement);
  setText(node, text);
  node.classList.add("shown");
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => node.classList.remove("shown"), 6000);
}
