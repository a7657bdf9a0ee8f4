// The page works without this file; it makes it quicker to use. No markup is made here, only text is set.
"use strict";

const find = (selector) => document.querySelector(selector);

function showNewKey() {
  const section = find("#new-key");
  if (!section) return;
  // The address with the ticket is worth nothing any more; without it a reload looks like a visit.
  history.replaceState(null, "", location.pathname);
  const forget = () => section.remove();
  const [code, copy, hide, copied] = ["#plaintext", "#copy", "#hide", "#copied"].map(find);
  copy.hidden = hide.hidden = false;
  section.focus();
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      copied.textContent = "Copied. Keep it where secrets are kept.";
    } catch {
      getSelection().selectAllChildren(code);
      copied.textContent = "Copying is not allowed here. The key is selected: press Ctrl+C or ⌘C.";
    }
  });
  hide.addEventListener("click", () => {
    forget();
    find(".create summary").focus();
  });
  // The browser may keep the page in memory for the back button, but not the key.
  addEventListener("pagehide", forget);
}

function confirmRevoking() {
  const dialog = find("#revoke");
  if (!dialog?.showModal) return;
  let opener = null;
  for (const link of document.querySelectorAll("[data-revoke]")) {
    link.setAttribute("role", "button");
    link.addEventListener("click", (event) => {
      event.preventDefault();
      opener = link;
      find("#revoke-name").textContent = link.dataset.name;
      find("#revoke-prefix").textContent = link.dataset.prefix;
      dialog.querySelector("[name=id]").value = link.dataset.revoke;
      dialog.showModal();
    });
    link.addEventListener("keydown", (event) => {
      if (event.key === " ") {
        event.preventDefault();
        link.click();
      }
    });
  }
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => opener?.focus());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // on the backdrop
  });
}

function chooseScopes() {
  const boxes = [...document.querySelectorAll("input[name=scope]")];
  const wanted = {
    read: (scope) => scope.endsWith(":read"),
    all: () => true,
    none: () => false,
  };
  for (const button of document.querySelectorAll("[data-choose]")) {
    button.parentElement.hidden = false;
    button.addEventListener("click", () => {
      for (const box of boxes) box.checked = wanted[button.dataset.choose](box.value);
    });
  }
}

function sendOnce() {
  for (const form of document.querySelectorAll("form")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
    });
  }
  addEventListener("pageshow", (event) => {
    // Back from the browser's memory: what it shows may be long past.
    if (event.persisted) location.reload();
  });
}

function takeToken() {
  // The emulator prints an address with the token after the #, which is never sent to a server.
  const field = find("#token");
  if (!field || !location.hash.startsWith("#ors_")) return;
  field.value = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  field.form.querySelector("button").focus();
}

showNewKey();
confirmRevoking();
chooseScopes();
sendOnce();
takeToken();
