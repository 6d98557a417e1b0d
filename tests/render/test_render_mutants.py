"""Faults that somebody could well write into a format, planted one at a time: a named property has to catch each."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import hypothesis
import pytest
import render_model
from hypothesis import strategies as st

from mergeguard.core.findings import ScanReport, Severity
from mergeguard.render import (
    dot,
    edges,
    junit,
    layout,
    markdown,
    markup,
    page,
    plain,
    prometheus,
    sarif,
    svg,
    table,
    words,
)

Property = Callable[[ScanReport], None]
SEARCH = hypothesis.settings(
    max_examples=2000,
    phases=[hypothesis.Phase.generate],
    database=None,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


@dataclass(frozen=True)
class Mutant:
    """A fault and the property that is to catch it."""

    plant: Callable[[pytest.MonkeyPatch], None]
    caught_by: Property


def raw_labels(patch: pytest.MonkeyPatch) -> None:
    """The table prints what the database holds as it is."""
    patch.setattr(table, "visible", str)
    patch.setattr(words, "visible", lambda text, _limit=None: str(text))


def unescaped_data(patch: pytest.MonkeyPatch) -> None:
    """Data are put into XML without entities."""
    patch.setattr(markup, "escaped", markup.Markup)


def quotes_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Attributes are escaped as if they were text."""
    patch.setattr(markup, "escaped", lambda data: markup.Markup(html.escape(markup.visible(data), quote=False)))


def twice_escaped(patch: pytest.MonkeyPatch) -> None:
    """An ampersand is shown as its entity."""
    patch.setattr(markup, "escaped", lambda data: markup.Markup(html.escape(html.escape(markup.visible(data)))))


def one_finding_a_rule(patch: pytest.MonkeyPatch) -> None:
    """JSON keeps one finding a rule."""
    findings = plain.findings

    def cut(report: ScanReport) -> Any:
        return findings(replace(report, outcomes=tuple(replace(o, findings=o.findings[:1]) for o in report.outcomes)))

    patch.setattr(plain, "findings", cut)


def findings_in_the_rules_order(patch: pytest.MonkeyPatch) -> None:
    """Findings stand in the order of the outcomes, not worst first."""

    def unranked(report: ScanReport) -> Any:
        return [plain.finding(each, report, outcome.name) for outcome in report.outcomes for each in outcome.findings]

    patch.setattr(plain, "findings", unranked)


def counts_of_the_listed(patch: pytest.MonkeyPatch) -> None:
    """A rule's count is that of its listed findings."""
    outcome = plain.outcome
    patch.setattr(plain, "outcome", lambda result: {**outcome(result), "count": len(result.findings)})


def unchecked_is_clean(patch: pytest.MonkeyPatch) -> None:
    """A rule that did not run passes."""
    case = junit._case
    patch.setattr(junit, "_case", lambda outcome, report: case(replace(outcome, not_checked=None), report))


def infos_fail(patch: pytest.MonkeyPatch) -> None:
    """Any finding fails its test case."""
    patch.setattr(junit, "_fails", lambda outcome: outcome.count > 0)


def incomplete_passes(patch: pytest.MonkeyPatch) -> None:
    """An incomplete scan is no error."""
    complete = junit._completeness
    patch.setattr(junit, "_completeness", lambda report: complete(replace(report, complete=True)))


def one_index_off(patch: pytest.MonkeyPatch) -> None:
    """Results name the rule by its place in the report, which is another one than in the log."""
    result = sarif._result

    def off(finding: Any, report: ScanReport, _indices: Any) -> Any:
        return result(finding, report, {outcome.rule: at for at, outcome in enumerate(report.outcomes)})

    patch.setattr(sarif, "_result", off)


def warnings_are_errors(patch: pytest.MonkeyPatch) -> None:
    """Levels are mixed up."""
    patch.setitem(sarif._LEVELS, Severity.WARNING, "error")


def braces_are_placeholders(patch: pytest.MonkeyPatch) -> None:
    """Messages are not escaped for SARIF's own syntax."""
    patch.setattr(sarif, "_SPECIAL", {})


def the_rest_is_silent(patch: pytest.MonkeyPatch) -> None:
    """Lists are cut without a word."""
    patch.setattr(junit, "_more", lambda _outcome: "")


def numbers_from_zero(patch: pytest.MonkeyPatch) -> None:
    """Findings are numbered as programmers count."""
    finding = table._finding
    patch.setattr(table, "_finding", lambda number, *rest: finding(number - 1, *rest))


def no_markdown_escapes(patch: pytest.MonkeyPatch) -> None:
    """Markdown shows data as they are."""
    patch.setattr(markdown, "prose", markdown.visible)


def short_fences(patch: pytest.MonkeyPatch) -> None:
    """A code span is fenced by one backtick whatever it holds."""
    patch.setattr(markdown, "code", lambda data: f"`{markdown.visible(data)}`")


def too_few_in_markdown(patch: pytest.MonkeyPatch) -> None:
    """The number of those left out is that of the listed ones left out."""
    rule = markdown._rule

    def told(outcome: Any, report: ScanReport) -> Any:
        return rule(replace(outcome, count=len(outcome.findings)), report)

    patch.setattr(markdown, "_rule", told)


def one_article_only(patch: pytest.MonkeyPatch) -> None:
    """The page shows one finding a rule."""
    rule = page._rule

    def cut(outcome: Any, report: ScanReport, budget: int) -> Any:
        return rule(replace(outcome, findings=outcome.findings[:1]), report, budget)

    patch.setattr(page, "_rule", cut)


def accepted_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    """What a baseline accepts is not counted on the page."""
    row = page._summary_row
    patch.setattr(page, "_summary_row", lambda outcome: row(replace(outcome, suppressed=0)))


def empty_lists_are_drawn(patch: pytest.MonkeyPatch) -> None:
    """Details that hold nothing leave an empty list on the page."""
    patch.setattr(page.words, "details", lambda *_: [])
    element = page.element

    def drawn(name: str, attributes: Any = None, *children: str) -> Any:
        made = element(name, attributes, *children)
        return page.joined(made, element("ul", {"class": "details"})) if name == "h3" else made

    patch.setattr(page, "element", drawn)


def unchecked_counts_nothing(patch: pytest.MonkeyPatch) -> None:
    """A rule that was not checked has a count of zero, as if it had looked."""
    patch.setattr(prometheus.words, "ranked", lambda report: list(report.outcomes))


def bare_quotes(patch: pytest.MonkeyPatch) -> None:
    """Labels of metrics are not escaped."""
    patch.setattr(prometheus, "_label", prometheus.visible)


def always_a_success(patch: pytest.MonkeyPatch) -> None:
    """An incomplete scan is counted as a success."""
    samples = prometheus._samples
    patch.setattr(prometheus, "_samples", lambda report: samples(replace(report, complete=True)))


def arrows_turned_round(patch: pytest.MonkeyPatch) -> None:
    """DOT draws from the new to the old."""
    body = dot._body

    def turned(picture: Any, number: int) -> Any:
        return body(replace(picture, edges=tuple((new, old) for old, new in picture.edges)), number)

    patch.setattr(dot, "_body", turned)


def edges_drawn_once(patch: pytest.MonkeyPatch) -> None:
    """DOT draws an edge once, however many rows say it."""
    body = dot._body
    patch.setattr(dot, "_body", lambda picture, n: body(replace(picture, edges=tuple(set(picture.edges))), n))


def clusters_share_nodes(patch: pytest.MonkeyPatch) -> None:
    """All pictures name their nodes alike."""
    body = dot._body
    patch.setattr(dot, "_body", lambda picture, _number: body(picture, 0))


def dot_escapes_nothing(patch: pytest.MonkeyPatch) -> None:
    """A quote ends a text of DOT."""
    patch.setattr(dot, "quoted", lambda text: f'"{text}"')


def lines_run_backwards(patch: pytest.MonkeyPatch) -> None:
    """SVG draws from the new to the old."""
    patch.setattr(svg, "curve", lambda source, target, *rest, **more: edges.curve(target, source, *rest, **more))


def heads_at_the_tail(patch: pytest.MonkeyPatch) -> None:
    """The arrow head stands where the line begins."""
    patch.setattr(svg, "head", lambda points: edges.head(points[::-1]))


def lines_end_in_the_middle(patch: pytest.MonkeyPatch) -> None:
    """A line goes on to the middle of its node, where nobody sees the head."""
    curve = svg.curve
    patch.setattr(
        svg, "curve", lambda source, target, *rest, **more: [*curve(source, target, *rest, **more)[:-1], target]
    )


def the_frame_is_too_small(patch: pytest.MonkeyPatch) -> None:
    """The drawing is as large as its nodes' middles."""
    lay_out = layout.lay_out

    def small(*given: Any) -> Any:
        found = lay_out(*given)
        return replace(found, width=found.width / 2, height=found.height / 2)

    patch.setattr(svg, "lay_out", small)


def each_time_another(patch: pytest.MonkeyPatch) -> None:
    """A list is written in the order of a set of objects."""
    calls = iter(range(10**9))
    summary = svg.summary
    patch.setattr(svg, "summary", lambda picture: f"{summary(picture)} {next(calls)}")


MUTANTS = [
    Mutant(raw_labels, render_model.table_is_plain_text),
    Mutant(unescaped_data, render_model.page_has_an_article_a_finding),
    Mutant(unescaped_data, render_model.junit_spells_findings_out),
    Mutant(quotes_forgotten, render_model.junit_spells_findings_out),
    Mutant(twice_escaped, render_model.page_has_an_article_a_finding),
    Mutant(one_finding_a_rule, render_model.json_holds_every_finding),
    Mutant(findings_in_the_rules_order, render_model.json_holds_every_finding),
    Mutant(counts_of_the_listed, render_model.json_holds_every_rule),
    Mutant(unchecked_is_clean, render_model.junit_spells_findings_out),
    Mutant(infos_fail, render_model.junit_spells_findings_out),
    Mutant(incomplete_passes, render_model.junit_spells_findings_out),
    Mutant(one_index_off, render_model.sarif_holds_every_finding),
    Mutant(warnings_are_errors, render_model.sarif_holds_every_finding),
    Mutant(braces_are_placeholders, render_model.sarif_holds_every_finding),
    Mutant(the_rest_is_silent, render_model.junit_spells_findings_out),
    Mutant(numbers_from_zero, render_model.table_numbers_findings),
    Mutant(no_markdown_escapes, render_model.markdown_shows_data_as_text),
    Mutant(short_fences, render_model.markdown_shows_data_as_text),
    Mutant(too_few_in_markdown, render_model.markdown_lists_findings),
    Mutant(one_article_only, render_model.page_has_an_article_a_finding),
    Mutant(accepted_are_forgotten, render_model.page_sums_every_rule_up),
    Mutant(empty_lists_are_drawn, render_model.page_has_an_article_a_finding),
    Mutant(unchecked_counts_nothing, render_model.metrics_count_every_rule),
    Mutant(bare_quotes, render_model.metrics_count_every_rule),
    Mutant(always_a_success, render_model.metrics_count_every_rule),
    Mutant(arrows_turned_round, render_model.dot_draws_every_edge),
    Mutant(edges_drawn_once, render_model.dot_draws_every_edge),
    Mutant(clusters_share_nodes, render_model.dot_draws_every_edge),
    Mutant(dot_escapes_nothing, render_model.dot_names_every_node),
    Mutant(lines_run_backwards, render_model.svg_draws_every_edge),
    Mutant(heads_at_the_tail, render_model.svg_draws_every_edge),
    Mutant(lines_end_in_the_middle, render_model.svg_draws_every_edge),
    Mutant(the_frame_is_too_small, render_model.svg_lies_within_its_frame),
    Mutant(each_time_another, render_model.same_twice),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.plant.__name__}-{mutant.caught_by.__name__}")
def test_a_planted_fault_is_caught(mutant: Mutant, hostile_reports: st.SearchStrategy[ScanReport]) -> None:
    def caught(report: ScanReport) -> bool:
        with pytest.MonkeyPatch.context() as patch:
            mutant.plant(patch)
            return fails(mutant.caught_by, report)

    report = hypothesis.find(hostile_reports, caught, settings=SEARCH)
    mutant.caught_by(report)  # it is the fault that fails, not the property


def fails(holds: Property, report: ScanReport) -> bool:
    """Whether a property does not hold, or what it reads cannot be read any more."""
    try:
        holds(report)
    except (AssertionError, ValueError, SyntaxError, KeyError):
        return True
    return False
