"""Charts: where things are drawn, what their tables say, and that no name becomes markup."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages import Elements
from rods.charts.axis import MOST, Axis, percent, share
from rods.charts.buckets import bucketed
from rods.charts.chart import Band, Bars, Box, Chart, Line, Measure, Reading, Rows, curves
from rods.charts.draw import draw
from rods.html import cut, readable

HOSTILE = '</text><script>alert(1)</script>" onload="x\x1b[31m\u202e'
NUMBERS = st.floats(-1e9, 1e9, allow_nan=False)


@given(NUMBERS, st.floats(1e-6, 1e9))
def test_ticks_are_round_few_and_inside(low: float, span: float) -> None:
    axis = Axis.over("x", low, low + span)
    places = [place for place, _ in axis.ticks]
    assert 1 <= len(places) <= MOST + 1
    slack = 1e-6 * (axis.high - axis.low) + 1e-9 * abs(low)
    assert all(axis.low - slack <= place <= axis.high + slack for place in places)
    assert places == sorted(places)
    assert axis.at(axis.low) == 0 and axis.at(axis.high) == pytest.approx(100)


def test_shares_are_percentages() -> None:
    axis = Axis.over("share", 0, 1, share)
    assert [text for _, text in axis.ticks] == ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]
    assert percent(0.1234) == "12.3 %"


@given(st.dictionaries(st.integers(0, 10**6), st.integers(), max_size=60), st.integers(1, 80))
def test_buckets_keep_everything_in_order(values: dict[int, int], most: int) -> None:
    found = bucketed(values, most)
    assert [v for some in found.values() for v in some] == [values[i] for i in sorted(values)]
    assert len(found) <= most + 1
    ends = [(bucket.first, bucket.last) for bucket in found]
    assert ends == sorted(ends) and len({last - first for first, last in ends}) <= 1


def test_curves_are_drawn_where_their_values_are() -> None:
    lines = [
        Line("one", [0, 5, 10], [0.0, None, 4.0], "#111111", "dash", "square"),
        Line("two", [5], [2.0], "#222222"),
    ]
    bands = [Band([0, 10], [1, 1], [2, 4], "#333333")]
    chart = curves(lines, x="step", y="n", form="{:.1f}".format, x_range=(0, 10), bands=bands)
    html = draw(chart, "Title")
    assert 'd="M0 1000 M1000 0"' in html, "a gap"
    assert 'd="M0 500 L1000 0 L1000 750 L0 750Z"' in html
    assert '<svg x="50.0%" y="50.0%"' in html, "a single point has a mark"
    (table,) = Elements(f'<section id="s">{html}</section>').sections["s"]
    assert table.rows == [
        ["step", "one", "two"],
        ["0", "0.0", "-"],
        ["5", "-", "2.0"],
        ["10", "4.0", "-"],
    ]
    assert re.findall(r'data-at="([\d.]+)"', html) == ["0.0", "50.0", "100.0"]


def test_bars_are_drawn_where_their_values_are() -> None:
    bars = (Bars("up", "#111111", [Box(0, 1, 0, 3)]), Bars("down", "#222222", [Box(1, 2, -1, 0)]))
    axes = Axis.over("epoch", 0, 2), Axis.over("n", -1, 3)
    chart = Chart(*axes, ("epoch", "n"), (Reading(0.5, ("0", "3")),), bars=bars)
    html = draw(chart, "Title")
    assert '<rect x="0.0%" y="0.0%" width="50.0%" height="75.0%"/>' in html
    assert '<rect x="50.0%" y="75.0%" width="50.0%" height="25.0%"/>' in html


def test_no_name_becomes_markup() -> None:
    line = Line(HOSTILE, [0, 1], [0, 1], "#111111")
    drawn = [
        draw(curves([line, line], x=HOSTILE, y=HOSTILE, form=lambda _: HOSTILE), HOSTILE),
        draw(Rows((HOSTILE, HOSTILE), ((HOSTILE, (Measure(1, HOSTILE, "#111111"),)),)), HOSTILE),
    ]
    for html in drawn:
        found = Elements(html)
        assert "script" not in {tag for tag, _ in found.tags}
        assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
        assert "\x1b" not in html and "\u202e" not in html
        assert readable(HOSTILE) in found.text


@given(st.text())
def test_readable_text_has_no_hidden_character(text: str) -> None:
    shown = readable(text)
    assert all(c.isprintable() or c in "\n\t" or c not in "\x00\x1b\u202e" for c in shown)
    assert readable(shown) == shown
    shown.encode()
    if text.isprintable():
        assert shown == text


def test_cut_text_says_what_is_missing() -> None:
    assert cut("abc", 3) == "abc"
    assert cut("x" * 2000, 10) == "xxxxxxxxxx [… 1,990 characters left out]"
