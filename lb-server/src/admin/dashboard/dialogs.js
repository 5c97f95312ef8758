// Questions to the operator, and what is said back.

const byId = (id) => document.getElementById(id);

/**
 * Asks, and gives what was typed (or `true` where nothing is typed), `null` if it was cancelled.
 *
 * `field`: attributes of the input, with `label` and `value`.
 */
function question({ title, text, yes, grave = false, field = null, hint = "" }) {
  const box = byId("ask");
  if (box.open) return Promise.resolve(null);
  const input = byId("ask-input");
  write(byId("ask-title"), title);
  write(byId("ask-text"), text);
  write(byId("ask-hint"), hint);
  write(byId("ask-yes"), yes);
  byId("ask-yes").classList.toggle("grave", grave);
  byId("ask-field").hidden = !field;
  for (const name of [...input.getAttributeNames()]) if (name !== "id") input.removeAttribute(name);
  input.value = "";
  // A hidden field must not hold up the form.
  input.disabled = !field;
  if (field) {
    const { label, value = "", ...attributes } = field;
    write(byId("ask-label"), label);
    for (const [name, wanted] of Object.entries(attributes)) mark(input, name, wanted === true ? "" : wanted);
    input.value = value;
  }
  return new Promise((resolve) => {
    const stop = new AbortController();
    const finish = (answer) => {
      stop.abort();
      box.close();
      input.value = "";
      resolve(answer);
    };
    const on = (target, type, listener) => target.addEventListener(type, listener, { signal: stop.signal });
    on(byId("ask-form"), "submit", (event) => {
      event.preventDefault();
      finish(field ? input.value : true);
    });
    on(byId("ask-no"), "click", () => finish(null));
    on(box, "cancel", (event) => {
      event.preventDefault();
      finish(null);
    });
    box.showModal();
    // What is grave is not done by an Enter too many.
    if (field) input.select();
    else byId(grave ? "ask-no" : "ask-yes").focus();
  });
}

/** For those who listen rather than look. */
function say(text) {
  write(byId("said"), text);
}

/** Stays until it is read; the same notice does not come twice. */
function notice(key, text, { grave = true, action = null } = {}) {
  withdraw(key);
  const close = el("button", { type: "button", "aria-label": "Dismiss", on: { click: () => withdraw(key) } }, "✕");
  const act = action && el("button", { type: "button", on: { click: action.run } }, action.name);
  const box = el("div", { class: grave ? "notice grave" : "notice", role: "alert", "data-key": key }, el("p", {}, text), act, close);
  byId("notices").append(box);
}

function withdraw(key) {
  for (const box of byId("notices").children) if (box.dataset.key === key) box.remove();
}
