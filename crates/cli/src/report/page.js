(() => {
  const page = document;
  const search = page.getElementById("q");
  const boxes = [...page.querySelectorAll("input[name=level]")];
  const findings = [...page.querySelectorAll("table.findings tbody")];
  const texts = findings.map((f) => f.textContent.toLowerCase());
  const filter = () => {
    const text = search.value.toLowerCase();
    const levels = new Set(boxes.filter((b) => b.checked).map((b) => b.value));
    let shown = 0;
    findings.forEach((f, i) => {
      const fits = levels.has(f.dataset.level) && texts[i].includes(text);
      f.hidden = !fits;
      shown += fits ? 1 : 0;
    });
    page.getElementById("shown").textContent = shown + " of " + findings.length;
  };
  if (search) {
    search.addEventListener("input", filter);
    boxes.forEach((b) => b.addEventListener("change", filter));
    filter();
  }
  const order = new Intl.Collator("en", { numeric: true });
  page.querySelectorAll("table.sort").forEach((table) => {
    const heads = [...table.tHead.rows[0].cells];
    const whole = table.classList.contains("findings");
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach((h) => h.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        const parts = whole ? [...table.tBodies] : [...table.tBodies[0].rows];
        const key = (part) => {
          const cell = (whole ? part.rows[0] : part).cells[column];
          return cell.dataset.v ?? cell.textContent;
        };
        parts.sort((a, b) => sign * order.compare(key(a), key(b)));
        const home = whole ? table : table.tBodies[0];
        parts.forEach((part) => home.append(part));
      });
    });
  });
})();
