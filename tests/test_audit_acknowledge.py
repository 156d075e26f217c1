"""Acknowledged findings: they stay, they say why, and they no longer fail a build."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from audit_cohorts import clean

from medclf_lite.audit import (
    Acknowledgement,
    Report,
    acknowledge,
    assert_clean,
    audit_cohort,
    read_acknowledged,
)
from medclf_lite.errors import MedclfError

REASON = "All images are of class 0 <on purpose> | here."
ONE = Acknowledgement("counts.one-class", REASON)
TODAY = date(2030, 6, 1)


@pytest.fixture(scope="module")
def report() -> Report:
    return audit_cohort(clean(label=0), only=["counts", "patients"])


def test_an_acknowledged_error_no_longer_fails(report) -> None:
    assert report.exit_code() == 1
    accepted = acknowledge(report, [ONE])
    assert accepted.exit_code("error") == 0
    assert len(accepted.findings) == len(report.findings)
    assert accepted.findings[-1].accepted == REASON, "it comes last"
    assert "1 acknowledged" in accepted.headline
    assert assert_clean(report, acknowledged=[ONE])
    with pytest.raises(AssertionError, match=r"Only one class.*counts\.one-class"):
        assert_clean(report)


def test_the_reason_is_told_in_every_format(report, tmp_path) -> None:
    accepted = acknowledge(report, [ONE])
    kept = [f for f in json.loads(accepted.to_json())["findings"] if f["accepted"]]
    assert [f["accepted"] for f in kept] == [REASON]
    assert "**Acknowledged.** All images are of class 0 &lt;on purpose&gt; \\|" in (
        accepted.to_markdown()
    )
    page = accepted.to_html(tmp_path / "a.html").read_text()
    assert "error, acknowledged" in page
    assert "&lt;on purpose&gt;" in page


def test_an_acknowledgement_has_limits(report) -> None:
    def holds(**limits) -> bool:
        given = Acknowledgement("counts.one-class", "why", **limits)
        return acknowledge(report, [given], today=TODAY).exit_code() == 0

    assert holds(most=480)
    assert not holds(most=479)
    assert holds(until=TODAY)
    assert not holds(until=date(2030, 5, 31))


def test_a_stale_acknowledgement_does_not_go_unseen(report) -> None:
    given = [
        Acknowledgement("splits.sites", "ours"),
        Acknowledgement("counts.one-class", "few", most=3),
        Acknowledgement("counts.one-class", "long ago", until=date(2020, 1, 1)),
    ]
    lines = " ".join(acknowledge(report, given, today=TODAY).coverage)
    assert "acknowledged splits.sites (nothing to acknowledge, remove it)" in lines
    assert "was good" in lines


def test_acknowledgements_are_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "medclf-audit.toml"
    path.write_text(
        '[[acknowledged]]\ncheck = "counts.few"\nreason = "A pilot."\nmost = 9\n'
        'until = 2031-01-01\n[[acknowledged]]\ncheck = "splits.sites"\nreason = "Ours."\n'
    )
    first, second = read_acknowledged(path)
    assert (first.most, first.until, second.most) == (9, date(2031, 1, 1), None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("acknowledged = 3", "tables"),
        ("other = 1", "it has other"),
        ('[[acknowledged]]\ncheck = "counts.few"', "needs check and reason"),
        ('[[acknowledged]]\ncheck = "counts.fwe"\nreason = "x"', "no check 'counts.fwe'"),
        ('[[acknowledged]]\ncheck = "counts.few"\nreason = " "', "must not be empty"),
        ('[[acknowledged]]\ncheck = "counts.few"\nreason = "x"\nmost = 0', "whole number from 1"),
        ('[[acknowledged]]\ncheck = "counts.few"\nreason = "x"\nuntil = "soon"', "a date"),
        ('[[acknowledged]]\ncheck = "counts.few"\nreason = "x"\nwho = "me"', "it has check"),
        ("[[acknowledged", "is not TOML"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_what_is_expected(tmp_path, text, told) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(MedclfError, match=told):
        read_acknowledged(path)


def test_a_file_that_cannot_be_read_is_named(tmp_path) -> None:
    with pytest.raises(MedclfError, match=r"no\.toml cannot be read"):
        read_acknowledged(tmp_path / "no.toml")
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(MedclfError, match="is not TOML"):
        read_acknowledged(tmp_path / "b.toml")
