// The sentences around charts that follow the chosen token: what the chart shows, its alternative text, and the token in
// a title. The page sends those of every token (pages/shared/figure.py); here the chosen one's are written.

const CARD = '[class*="st-key-card-"]';

// Write the sentences for a token, null for the last. labels: of all tokens.
function writeSaid(token, labels) {
  for (const node of document.querySelectorAll(".stMain [data-each]")) {
    const each = node.dataset.each.split(",");
    if (each.length !== labels.length) continue; // of another text, whose bar is not there yet
    const said = node.dataset.said.split("\n");
    const [alt, finding] = each[token ?? each.length - 1].split(" ").map((place) => said[place]);
    write(node, finding);
    const chart = node.closest(CARD)?.querySelector("[aria-roledescription][aria-label]");
    if (chart && chart.ariaLabel !== alt) chart.ariaLabel = alt;
  }
  for (const node of document.querySelectorAll(".stMain .cs-shown-token")) write(node, labels[token ?? labels.length - 1]);
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
