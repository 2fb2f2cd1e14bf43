"""The script of the HTML report: filter, search, open and close. Constant: its hash stands in the page's policy.

SECURITY: it reads attributes and text of the page and sets `hidden`, `open`, `disabled` and textContent, nothing else:
no markup is made from text, no address is opened, nothing is fetched.
"""

from __future__ import annotations

SCRIPT = """
"use strict";
(() => {
  const all = (where, what) => Array.from(where.querySelectorAll(what));
  const one = (id) => document.getElementById(id);
  const search = one("search"), verdict = one("verdict"), severity = one("severity"), rule = one("rule");
  const count = one("count"), none = one("none");
  const rows = new Map(all(document, "tr[data-file]").map((row) => [row.dataset.file, row]));
  const cards = all(document, "button.card");
  const files = all(document, "section.file").map((section) => ({
    section,
    row: rows.get(section.id),
    verdict: section.dataset.verdict,
    head: all(section, ".head")[0].textContent.toLowerCase(),
    findings: all(section, ".finding").map((node) => ({
      node,
      severity: node.dataset.severity,
      rule: node.dataset.rule,
      text: node.textContent.toLowerCase(),
    })),
  }));
  const total = files.reduce((sum, file) => sum + file.findings.length, 0);

  const apply = () => {
    const words = search.value.toLowerCase().split(/\\s+/).filter((word) => word);
    const narrow = severity.value !== "" || rule.value !== "";
    let seen = 0, found = 0;
    for (const file of files) {
      const rest = words.filter((word) => !file.head.includes(word));
      let here = 0;
      for (const finding of file.findings) {
        const fits = (severity.value === "" || finding.severity === severity.value)
          && (rule.value === "" || finding.rule === rule.value)
          && rest.every((word) => finding.text.includes(word));
        finding.node.hidden = !fits;
        here += fits ? 1 : 0;
      }
      const fits = (verdict.value === "" || file.verdict === verdict.value)
        && (here > 0 || (!narrow && rest.length === 0));
      file.section.hidden = !fits;
      if (file.row) file.row.hidden = !fits;
      seen += fits ? 1 : 0;
      found += fits ? here : 0;
    }
    for (const card of cards) card.setAttribute("aria-pressed", String(card.dataset.verdict === verdict.value));
    const active = words.length > 0 || narrow || verdict.value !== "";
    count.textContent = active
      ? `Shown: ${seen} of ${files.length} files, ${found} of ${total} findings`
      : `${files.length} files, ${total} findings`;
    one("reset").disabled = !active;
    none.hidden = seen > 0 || files.length === 0;
  };

  const reset = () => {
    for (const field of [search, verdict, severity, rule]) field.value = "";
    apply();
  };
  const fold = (open) => {
    for (const node of all(document, "main details")) node.open = open;
  };

  for (const field of [verdict, severity, rule]) field.addEventListener("change", apply);
  search.addEventListener("input", apply);
  for (const card of cards) {
    card.addEventListener("click", () => {
      verdict.value = verdict.value === card.dataset.verdict ? "" : card.dataset.verdict;
      apply();
    });
  }
  one("reset").addEventListener("click", () => { reset(); search.focus(); });
  one("unfold").addEventListener("click", () => fold(true));
  one("fold").addEventListener("click", () => fold(false));
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      reset();
    }
  });
  window.addEventListener("beforeprint", () => fold(true));
  one("tools").hidden = false;
  reset();
})();
"""
