"""The page: sound HTML that needs nothing beside itself, the decision first, and no name of a user's read as markup."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bayescpt.decide import ForgettingBudget, plan, ratios
from bayescpt.decide.trust import cautions
from bayescpt.design import Space
from bayescpt.design.decision import Question
from bayescpt.design.files import SpaceFile
from bayescpt.fit import Fit, Mixture, UnreliableFit, prior_fit
from bayescpt.report import Report, asked_of, report
from bayescpt.report.html.blocks import Items
from bayescpt.report.html.decided import decided, decisions_of, lead, sentence

from .conftest import ODD

VOID = {"meta", "link", "img", "path", "circle", "rect"}


class Parts(HTMLParser):
    """Tags with their attributes, the text, and whether every tag is closed in turn."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    def of(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def parts(page: Report) -> Parts:
    return Parts(page.html)


def test_it_needs_nothing_beside_itself(page: Report, parts: Parts) -> None:
    assert not parts.of("script", "iframe", "object", "form")
    for tag, attributes in parts.tags:
        for name in ("src", "href"):
            assert re.match(r"data:|#", attributes.get(name) or "#"), (tag, attributes.get(name))
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in page.html
    assert "url(http" not in page.html
    assert len(page.html.encode()) < 2_000_000


def test_every_part_is_named_for_who_does_not_see_it(parts: Parts) -> None:
    assert len(parts.of("h1")) == len(parts.of("main")) == len(parts.of("title")) == 1
    pictures = parts.of("img")
    assert len(pictures) > 10
    assert all(len(one["alt"] or "") > 30 and one["width"] and one["height"] for one in pictures)
    assert {one["scope"] for one in parts.of("th")} == {"col", "row"}
    assert len(parts.of("caption")) == len(parts.of("table"))
    names = Counter(attributes["id"] for _, attributes in parts.tags if attributes.get("id"))
    assert set(names.values()) == {1}
    assert {f"#{name}" for name in names} >= {one["href"] for one in parts.of("a")}


def test_the_decision_comes_first_and_sections_follow_in_order(page: Report, parts: Parts) -> None:
    said = [text.strip() for text in parts.text if text.strip()]
    assert said.index(page.lead) < said.index("The decision, domain by domain")
    assert [one["id"] for one in parts.of("section")] == [
        *("decision", "losses", "ratios", "trade", "learnability", "next", "extrapolation", "checks", "origin")
    ]
    text = " ".join(said)
    assert "Extrapolation: size 3.33x beyond the table and tokens 5x beyond the table" in text
    assert "farther out nothing was measured" in text  # what intervals held at a distance
    assert "bayescpt next a fit.nc --space SPACE.yaml" in text


def test_names_and_reasons_are_shown_and_not_read(page: Report, parts: Parts) -> None:
    assert not parts.of("b", "i")
    assert ODD in parts.text
    assert f"--domain '{ODD}'" in " ".join(parts.text)
    banner = page.html[page.html.index('role="alert"') :].split("</div>")[0]
    assert "Not reliable" in banner
    assert "for &#34;a test&#34; &lt;i&gt;only&lt;/i&gt;" in banner
    assert "Agreement of chains (R-hat): 1.5 at beta; wanted below 1.01" in banner


def test_what_it_tells_a_program_is_what_plan_tells(page: Report, odd: Fit) -> None:
    told = page.told
    assert (told["size"], told["tokens"], told["assumed"], told["confidence"]) == (2e6, 1e6, [], 0.6)
    found = plan(odd, "code", ratios(2e6, 1e6), ForgettingBudget(0.05), 0.6).summary()
    code = next(one for one in told["decisions"] if one["domain"] == "code")
    assert {key: code[key] for key in found} == found
    assert code["extrapolation"] == {"size": pytest.approx(10 / 3), "tokens": 5.0}
    assert told["checks"]["FAIL"] >= 2
    assert told["next"] is None


def test_a_write_that_fails_leaves_the_old_file(page: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        page.write(path)
    monkeypatch.undo()
    assert path.read_text() == "old"
    page.write(path)
    assert path.read_text("utf-8") == page.html
    assert [one.name for one in tmp_path.iterdir()] == ["report.html"]


def test_a_failed_fit_gives_no_report_unless_it_is_accepted(odd: Fit) -> None:
    with pytest.raises(UnreliableFit, match=r"1\.5 at beta"):
        report(replace(odd, accepted=None), asked_of(odd.table))


def test_a_mixture_with_a_space_of_next_runs(drawn: Fit) -> None:
    other = prior_fit(drawn.table, "memory", seed=1, draws=60)
    mixture = Mixture({"one": drawn, "another": other}, {"one": 0.5, "another": 0.5}, made="stated")
    asked = asked_of(mixture.table, ["code"], max_forgetting=0.1, relative=True, confidence=0.5)
    space = SpaceFile(
        Space(["code"], [1e5, 6e5], [0.1, 0.5], [2e5]), Question("code", 6e5, 2e5, ForgettingBudget(0.1, True), 0.5), {}
    )
    found = report(mixture, asked, space=space, budget=1e12)
    assert asked.assumed == ("size", "tokens")
    assert "Size and tokens were not stated: the largest of the table." in found.html
    assert "60 draws averaged over one 0.50, another 0.50 (stated)" in found.html
    assert "10\u00a0% of the base&#39;s loss" in found.html
    assert found.told["next"]["verdict"] in ("run", "stop")
    assert "What each candidate would bring" in found.html
    with pytest.raises(ValueError, match="go together"):
        report(mixture, asked, space=space)


def test_sentences_for_every_kind_of_decision(drawn: Fit) -> None:
    asked = asked_of(drawn.table, max_forgetting=1.0, confidence=0.5)
    able = decisions_of(drawn, asked)
    assert all(sentence(one, asked).startswith("Train on ") for one in able.values())
    assert lead(able, asked).startswith("Train on ")
    assert "in 2 domains: " in lead(able, asked)
    assert lead(able, asked).endswith(", in each of them by itself.")
    hard = asked_of(drawn.table, max_forgetting=0.0, confidence=0.9999)
    unable = decisions_of(drawn, hard)
    assert all(sentence(one, hard).startswith("No share of") for one in unable.values())
    assert lead(unable, hard).startswith("None of 2 domains")
    code = unable["code"]
    assert lead({"code": code, "law[s]": able["law[s]"]}, asked).endswith("none does for code.")
    assert lead({"code": code}, hard) == sentence(code, hard)
    flat = replace(code.plan, status="flat")
    assert "equally good as far as these rows can tell" in sentence(replace(code, plan=flat), asked)


def test_a_decision_is_said_with_no_more_than_was_decided(drawn: Fit) -> None:
    """0.65625 is not 66 %, which would break the budget, and 0.8999 is not the 0.90 that was asked."""
    asked = asked_of(drawn.table, ["code"], max_forgetting=1.0, confidence=0.5)
    code = decisions_of(drawn, asked)["code"]
    actions = code.plan.actions.copy()
    actions.loc[code.plan.best, ["ratio", "p_allowed"]] = 0.65678, 0.8999
    changed = replace(code, plan=replace(code.plan, actions=actions, status="chosen"))
    said = sentence(changed, asked)
    assert "Train on 65.6\u00a0% code data" in said
    assert said.endswith("with probability 0.89.")
    (row,) = decided({"code": changed}, asked).blocks[0].rows  # type: ignore[union-attr]
    assert (row[1].text, row[2].text) == ("65.6\u00a0%", "0.89")
    actions.loc[code.plan.best, "p_allowed"] = 1.0
    assert sentence(changed, asked).endswith("with probability above 0.99.")


def test_choosing_and_judging_with_the_same_draws_is_called_what_it_is(page: Report) -> None:
    assert "Winner" not in page.html
    assert page.html.count("Monte Carlo optimism") >= 2
    assert "because the same draws choose and judge" in page.html


def test_losses_below_zero_are_warned_of_in_the_words_of_plan(drawn: Fit) -> None:
    asked = asked_of(drawn.table, ["code"], max_forgetting=1.0, confidence=0.5)
    code = decisions_of(drawn, asked)["code"]
    doubtful = replace(code, plan=replace(code.plan, p_below_zero=0.25))
    (told,) = cautions(doubtful.plan)
    assert told.startswith("25% of the draws have a loss below zero")
    items = next(one for one in decided({"code": doubtful}, asked).blocks if isinstance(one, Items))
    assert f"code: {told}." in items.texts
    assert cautions(replace(code.plan, p_below_zero=0.01)) == []


def test_every_fault_of_a_question_is_named(drawn: Fit) -> None:
    with pytest.raises(ValueError, match=r"no domain 'poems', 'art'.*size must be.*max_forgetting.*confidence between"):
        asked_of(drawn.table, ["poems", "code", "art"], size=-1.0, max_forgetting=-1.0, confidence=1.0)
    assert asked_of(drawn.table, ["code", "code"]).domains == ("code",)


def test_domains_that_cannot_be_decided_are_named(drawn: Fit) -> None:
    frame = drawn.table.frame()
    from_scratch = type(drawn.table).from_frame(frame[(frame["tokens"] > 0)])
    blind = replace(drawn, table=from_scratch)
    with pytest.raises(ValueError, match="no base loss on the general set"):
        decisions_of(blind, asked_of(from_scratch))
