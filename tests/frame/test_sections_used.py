"""Every section of a page's words is shown by the page, and every section that the page asks for is there."""

import pytest
from showing import opened, reading_words

from models import registry
from pages.compare.recall import results
from pages.shared import site
from pages.shared.words import content, i18n

pytestmark = pytest.mark.skipif(not registry.bundled(), reason="no bundled checkpoints")

VISITS = {page: [{}] for page in site.KEYS if page != "benchmark"} | {
    "side-by-side": [{}, {"mode": "1", "off": "convolution.*.*.zero", "reader": "1"}, {"mode": "2"}],
    "recall": [{"task": str(number)} for number in range(len(results.TASKS))],
}  # the benchmark page needs a run with everything measured: tests/bench/test_page_wiring.py

# Sections that the bundled model has no figures for. Mixtral's are opened by
# test_other_models.test_the_transformer_page_has_the_figures_of_experts_where_the_model_has_some.
OF_OTHER_MODELS = {"transformer": ("hood.expert_lanes.", "hood.router_bars.")}


@pytest.mark.slow
@pytest.mark.parametrize("page", VISITS)
def test_a_page_asks_for_every_section_of_its_words_and_for_no_other(monkeypatch, page: str) -> None:
    with reading_words(monkeypatch) as asked:
        for query in VISITS[page]:
            opened(page, **query)
    used = {key for name, key in asked if name == page}
    monkeypatch.undo()
    for lang in i18n.LANGS:
        others = OF_OTHER_MODELS.get(page, ())
        there = {key for key in content.sections(lang, page) if not key.startswith(tuple(others))}
        assert sorted(there - used) == [], f"{lang}/{page}.md: sections that the page does not show"
        missing = used - there
        assert sorted(key for key in missing if not key.endswith(".try")) == [], f"{lang}/{page}.md lacks sections"
