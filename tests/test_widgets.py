"""Pictures with dials: each state says what was computed, on a page without a kernel too."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from medclf_lite import metrics, splits, widgets
from medclf_lite.cohort import Cohort
from medclf_lite.errors import MedclfError
from medclf_lite.phantom import PhantomSpec, generate
from medclf_lite.predictions import Predictions
from medclf_lite.widgets import Dial, Frame, States

MOST_BYTES = 300_000  # of a page's pictures
CORRECTED = "corrected for the prevalence"


@pytest.fixture(scope="module")
def predictions() -> Predictions:
    rng = np.random.default_rng(0)
    labels = rng.permutation(120) % 3 == 0
    scores = 1 / (1 + np.exp(1 - 2 * labels - rng.normal(size=120)))
    table = pd.DataFrame({"image_id": range(120), "label": labels.astype(int), "score": scores})
    return Predictions(table.assign(patient_id=table["image_id"] // 2))


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    spec = PhantomSpec(n_patients=12, images_per_patient=5, size=32, seed=4, prevalence=0.5)
    return generate(spec).cohort


@pytest.fixture(scope="module")
def patient():
    ill = generate(PhantomSpec(n_patients=10, images_per_patient=1, size=96, seed=31, prevalence=1))
    return ill.cohort.images.pixels[9], ill.render(lesions=False, rows=[9])[0], ill.masks[9]


def three_tests(strength: float) -> dict[str, list[float]]:
    return {"in": [0.7 + 0.2 * strength, 0.8], "out": [0.7, 0.6], "away": [0.7 - strength / 2, 0.6]}


@pytest.fixture(scope="module", params=["thresholds", "splits", "augmentations", "confounding"])
def picture(request, predictions, cohort, patient) -> States:
    return {
        "thresholds": lambda: widgets.thresholds(predictions),
        "splits": lambda: widgets.split_explorer(cohort),
        "augmentations": lambda: widgets.augmentations(*patient),
        "confounding": lambda: widgets.confounding(three_tests),
    }[request.param]()


def product_table() -> States:
    """A small picture, with everything in it that could end a script or an attribute."""

    def draw(n: int, sign: str) -> Frame:
        return Frame(f"<b>\n{n}{sign}\n</b><!-- </script> '\" -->", f"{n} & {sign} </script>")

    return States(
        'A "title" & more', (Dial("n", (1, 2, 3), 2), Dial("sign", ("+", "é"), "é")), draw
    )


def stored(html: str) -> dict:
    return json.loads(BeautifulSoup(html, "html.parser").find("script").string)


def faults(html: str) -> list[str]:
    """List what keeps somebody from using a picture, or two pictures from standing together."""
    soup = BeautifulSoup(html, "html.parser")
    found = [f"an id: {tag['id']}" for tag in soup.find_all(id=True)]
    found += [f"fetched: {at}" for at in re.findall(r"(?:src|href)=\"(?!data:)[^\"]*|url\(", html)]
    for control in soup.find_all("input"):
        if control.parent.name != "label" or not control.parent.get_text(strip=True):
            found.append(f"no label: {control['name']}")
        if control["type"] == "radio" and not soup.select("fieldset > legend"):
            found.append("a choice without a name")
        if control["type"] == "range":
            shown = control.parent.find_next_sibling("output")
            if shown is None or shown.get_text() != control.get("aria-valuetext"):
                found.append(f"no current value: {control['name']}")
    if len(soup.select("figcaption[aria-live=polite]")) != 1:
        found.append("nothing is announced")
    drawn = [svg for svg in soup.find_all("svg") if svg.find_parent("svg") is None]
    return found + ["a drawing is read out" for svg in drawn if svg.get("aria-hidden") != "true"]


# --- every picture -------------------------------------------------------------------------


def test_a_picture_can_be_used_by_all(picture):
    assert faults(picture._repr_html_()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('<div class="frame">', '<div class="frame" id="frame">', "an id: frame"),
        ("<b>", '<img src="a.png">', "fetched"),
        ("<span>n</span>", "<span></span>", "no label: d0"),
        ("<legend>sign</legend>", "", "a choice without a name"),
        ('<output aria-live="off">2', '<output aria-live="off">3', "no current value"),
        (' aria-live="polite"', "", "nothing is announced"),
        ("<b>", "<svg></svg>", "a drawing is read out"),
    ],
)
def test_a_planted_fault_is_found(old, new, said):
    html = product_table()._repr_html_()
    assert faults(html) == []
    assert old in html
    assert any(said in fault for fault in faults(html.replace(old, new)))


def test_a_picture_is_small_and_has_the_same_bytes_each_time(picture):
    html = picture._repr_html_()
    assert len(html.encode()) < MOST_BYTES
    again = States(picture.title, picture.dials, picture.draw)
    assert again._repr_html_() == html


def test_the_page_holds_every_frame_with_the_last_dial_fastest(picture):
    held = stored(picture._repr_html_())
    frames = ["\n".join(held["lines"][line] for line in frame) for frame in held["frames"]]
    assert frames == [frame.html for frame in picture.frames]
    assert held["says"] == [frame.says for frame in picture.frames]
    assert len(set(held["lines"])) == len(held["lines"])
    last = picture.dials[-1].values
    first = [dial.values[0] for dial in picture.dials[:-1]]
    assert [picture.draw(*first, v) for v in last] == list(picture.frames[: len(last)])


def test_the_start_is_shown_without_a_script(picture):
    start = picture.draw(*(dial.start for dial in picture.dials))
    soup = BeautifulSoup(picture._repr_html_(), "html.parser")
    assert soup.find("figcaption").string == start.says
    assert str(soup.select_one(".frame")) == str(
        BeautifulSoup(f'<div class="frame">{start.html}</div>', "html.parser")
    )
    values = [int(c["value"]) for c in soup.find_all("input") if c.get("type") == "range"]
    values += [int(c["value"]) for c in soup.select("input[checked]")]
    wanted = [d.values.index(d.start) for d in picture.dials]
    assert Counter(values) == Counter(wanted)


def test_nothing_in_a_frame_can_end_the_script():
    html = product_table()._repr_html_()
    assert html.count("</script>") == 1 + html.split("<script")[0].count("</script>")
    held = html.split('<script type="application/json">')[1].split("</script>")[0]
    assert "<!--" not in held
    assert json.loads(held)["says"][0] == "1 & + </script>"
    assert repr(product_table()) == 'A "title" & more: a picture with 6 states (n, sign)'


def test_what_cannot_move_is_refused():
    with pytest.raises(MedclfError, match="two or more different values"):
        Dial("n", (1, 1), 1)
    with pytest.raises(MedclfError, match="one of them to start from"):
        Dial("n", (1, 2), 3)
    with pytest.raises(MedclfError, match="has no dial"):
        States("Still", (), lambda: Frame("", ""))


def test_the_live_picture_draws_what_lies_between(predictions):
    live = widgets.thresholds(predictions).live()
    _, threshold, prevalence, scores, picture = live.children
    threshold.value, prevalence.value = 0.37, 0.13
    scores.value = CORRECTED
    wanted = widgets.thresholds(predictions).draw(0.37, 0.13, CORRECTED)
    assert wanted.html in picture.value
    assert wanted.says in picture.value


def test_every_picture_has_a_live_twin_that_starts_alike(picture):
    *controls, shown = picture.live().children[1:]
    assert [c.value for c in controls] == [d.start for d in picture.dials]
    assert picture.draw(*(d.start for d in picture.dials)).html in shown.value
    for dial in picture.dials:
        assert set(dial.values) <= set(dial.fine or dial.values)


def test_without_ipywidgets_the_error_says_what_still_works(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(MedclfError, match=r"pip install ipywidgets.*its dials move too"):
        product_table().live()


# --- threshold and prevalence --------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "prevalence"), [(0.5, 0.5), (0.1, 0.05), (0.9, 0.2)])
def test_outcomes_are_those_of_a_population_with_that_prevalence(
    predictions, threshold, prevalence
):
    y, called = predictions.labels, predictions.scores >= threshold
    weights = np.where(y == 1, prevalence / y.mean(), (1 - prevalence) / (1 - y.mean()))
    found = widgets.outcomes(predictions, threshold, prevalence)
    (tn, fp), (fn, tp) = confusion_matrix(y, called, sample_weight=weights) * 1000 / len(y)
    assert found[["tp", "fp", "fn", "tn"]].tolist() == pytest.approx([tp, fp, fn, tn])
    weighted = {"y_true": y, "y_pred": called, "sample_weight": weights}
    assert found["ppv"] == pytest.approx(precision_score(**weighted))
    assert found["npv"] == pytest.approx(precision_score(**weighted, pos_label=0))
    assert found["sensitivity"] == pytest.approx(recall_score(**weighted))
    assert found["specificity"] == pytest.approx(recall_score(**weighted, pos_label=0))
    price = threshold / (1 - threshold)
    assert found["model"] == pytest.approx((tp - fp * price) / 1000)
    assert found["treat_all"] == pytest.approx(prevalence - (1 - prevalence) * price)
    assert found["treat_none"] == 0


def test_at_the_prevalence_of_the_predictions_outcomes_are_their_own(predictions):
    found = widgets.outcomes(predictions, 0.4, predictions.labels.mean())
    own = metrics.net_benefit(predictions, [0.4]).iloc[0]
    assert found[["model", "treat_all"]].tolist() == pytest.approx(own[["model", "treat_all"]])
    figures = metrics.figures(predictions.labels, predictions.scores, 0.4)
    assert found["ppv"] == pytest.approx(figures["ppv"])


def test_each_state_counts_a_thousand_people(predictions):
    shown = widgets.thresholds(predictions)
    for setting, frame in zip(
        ((t, p, s) for t in shown.dials[0].values for p in shown.dials[1].values
         for s in shown.dials[2].values),
        shown.frames, strict=True,
    ):  # fmt: skip
        cells = re.findall(r"<td>(\d+) (found|missed|false alarms|left alone)", frame.html)
        counts = {name: int(n) for n, name in cells}
        assert sum(counts.values()) == 1000
        assert counts["found"] + counts["missed"] == round(1000 * setting[1])
        assert f"{counts['found']} found, {counts['missed']} missed" in frame.says


def test_corrected_scores_are_judged_in_place_of_the_scores(predictions):
    new = metrics.shift_prevalence(predictions.scores, old=0.4, new=0.05)
    found = widgets.outcomes(Predictions(predictions.table.assign(score=new)), 0.1, 0.05)
    draw = widgets.thresholds(predictions, trained_at=0.4).draw
    corrected, as_they_are = draw(0.1, 0.05, CORRECTED), draw(0.1, 0.05, "as they are")
    assert f"model {found['model']:.3f}".replace("-", "−") in corrected.says
    assert as_they_are.says != corrected.says
    assert as_they_are == draw(0.1, 0.05, "as they are")


def test_a_value_that_is_not_defined_is_not_drawn_as_a_number(predictions):
    low = Predictions(predictions.table.assign(score=predictions.scores / 10))
    assert np.isnan(widgets.outcomes(low, 0.95, 0.5)["ppv"])
    frame = widgets.thresholds(low).draw(0.95, 0.5, "as they are")
    assert "PPV not defined" in frame.html
    assert "nan" not in frame.html


def test_predictions_of_one_class_and_impossible_shares_are_refused(predictions):
    with pytest.raises(MedclfError, match="images of both classes"):
        widgets.thresholds(predictions.where(predictions.labels == 1))
    for prevalence in (0, 1):
        with pytest.raises(MedclfError, match="between 0 and 1"):
            widgets.outcomes(predictions, 0.5, prevalence)


# --- splits --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize("way", ["by image", "by patient"])
def test_the_explorer_frames_and_counts_who_leaks(cohort, way, seed):
    sides = widgets.divide(cohort, way, seed)
    of = {p: set(sides[cohort.patients == p]) for p in cohort.patients}
    torn = sorted(p for p, on in of.items() if len(on) > 1)
    assert widgets.leaking(cohort, sides).tolist() == torn
    known = [p for p, side in zip(cohort.patients, sides, strict=True)
             if side == "test" and "train" in of[p]]  # fmt: skip
    frame = widgets.split_explorer(cohort).draw(way, seed)
    tested = int((sides == "test").sum())
    assert frame.says == (
        f"{len(torn)} of 12 patients are on more than one side. {len(known)} of {tested} test "
        "images show a patient whom training has seen."
    )
    rows = {p: re.search(rf"^.*{p}<.*$", frame.html, re.MULTILINE)[0] for p in of}
    framed = [p for p, row in rows.items() if 'stroke="currentColor"' in row]
    assert framed == [p for p in dict.fromkeys(cohort.patients) if p in torn]
    for p, row in rows.items():
        letters = Counter(re.findall(r">([vT])<", row))
        own = Counter(sides[cohort.patients == p].tolist())
        assert (letters["v"], letters["T"]) == (own["val"], own["test"])
        assert row.count('width="18"') == 5


def test_by_patient_is_the_division_of_the_tools_and_by_image_another(cohort):
    wanted = splits.split_patients(cohort, val=0.2, test=0.2, seed=5).table["split"].tolist()
    assert widgets.divide(cohort, "by patient", 5).tolist() == wanted
    assert widgets.divide(cohort, "by image", 5).tolist() != wanted
    assert set(widgets.divide(cohort, "by image", 5)) == {"train", "val", "test"}


def test_too_much_to_be_seen_is_refused(cohort):
    many = generate(PhantomSpec(n_patients=31, images_per_patient=1, size=32)).cohort
    with pytest.raises(MedclfError, match="got 31 patients"):
        widgets.split_explorer(many)
    with pytest.raises(MedclfError, match="no way 'by date'"):
        widgets.divide(cohort, "by date", 0)


def test_a_name_cannot_break_the_picture(cohort):
    names = [f"<b>{k // 5}" for k in range(60)]
    named = cohort.with_column("patient_id", names)
    assert "&lt;b&gt;0<" in widgets.split_explorer(named).draw("by image", 0).html


# --- augmentation --------------------------------------------------------------------------

CHANGES = ("rotate", "crop", "erase", "flip", "brighten", "darken", "course")


@pytest.mark.parametrize("change", CHANGES)
def test_no_strength_takes_nothing(patient, change):
    left = widgets.what_is_left(*patient, change, 0.0)
    assert tuple(left) == pytest.approx((1, 1), abs=1e-3)


def test_contrast_is_measured_as_in_the_chapter(patient):
    ill, well, mask = (a.astype(float) for a in patient)

    def contrast_kept(light):
        a, b = (np.clip(light(x), 0, 255) for x in (ill, well))
        inside = mask > 0
        return np.abs(a - b)[inside].mean() / np.abs(ill - well)[inside].mean()

    for change, strength, light in (
        ("darken", 0.75, lambda grey: grey - 120),
        ("brighten", 0.6, lambda grey: grey * 1.9),
    ):
        left = widgets.what_is_left(*patient, change, strength)
        assert left.contrast == pytest.approx(contrast_kept(light), rel=1e-4)
        assert left.area == 1


def test_area_is_measured_as_in_the_chapter(patient):
    mask = patient[2]
    side = round(96 * 0.264**0.5)  # 80 % of the way to 8 %
    top, leftmost = round(0.3 * (96 - side)), round(0.4 * (96 - side))
    kept = mask[top : top + side, leftmost : leftmost + side].sum() / mask.sum()
    assert 0 < kept < 1
    assert widgets.what_is_left(*patient, "crop", 0.8).area == pytest.approx(kept)
    nothing = widgets.what_is_left(*patient, "crop", 1.0, place=(0, 0))
    assert tuple(nothing) == (0, 0)


def test_what_is_erased_is_gone_from_the_mask_too(patient):
    middle = np.argwhere(patient[2]).mean(0) / 96
    place = tuple((middle * 96 - 28) / (96 - 55))  # the rectangle lies on the lesion
    assert widgets.what_is_left(*patient, "erase", 1.0, place=place).area < 0.2


def test_a_flip_and_a_turn_keep_the_lesion_and_move_it(patient):
    for change in ("flip", "rotate"):
        assert widgets.what_is_left(*patient, change, 1.0).area > 0.97
    frames = [widgets.augmentations(*patient).draw(c, 1.0).html for c in ("flip", "rotate")]
    outlines = [re.findall(r'<path d="([^"]+)"', html) for html in frames]
    assert outlines[0][0] == outlines[1][0]  # before
    assert len({outlines[0][0], outlines[0][1], outlines[1][1]}) == 3


def test_the_picture_shows_the_changed_image_with_its_outline(patient):
    html = widgets.augmentations(*patient).draw("darken", 1.0).html
    codes = re.findall(r"base64,([^\"]+)", html)
    before, after = (np.asarray(Image.open(io.BytesIO(base64.b64decode(c))), int) for c in codes)
    darker = np.clip(patient[0].astype(int) - 160, 0, 255)
    assert np.abs(before - patient[0]).mean() < 6  # JPEG
    assert np.abs(after - darker).mean() < 6 < np.abs(before - darker).mean()


def test_an_outline_runs_around_each_pixel_at_the_border():
    image, well = np.full((32, 32), 99, np.uint8), np.zeros((32, 32), np.uint8)
    mask = np.zeros((32, 32), bool)
    mask[0, 0] = mask[5, 6] = True
    html = widgets.augmentations(image, well, mask).draw("flip", 0.0).html
    edges = set(re.findall(r"M\d+ \d+[vh]1", re.search(r'<path d="([^"]+)"', html)[1]))
    corner = {"M0 0v1", "M1 0v1", "M0 0h1", "M0 1h1"}
    assert edges == corner | {"M6 5v1", "M7 5v1", "M6 5h1", "M6 6h1"}


def test_images_without_a_lesion_are_refused(patient):
    image, well, mask = patient
    for wrong in ((image, well, mask & False), (image, image, mask)):
        with pytest.raises(MedclfError, match="shows no lesion"):
            widgets.augmentations(*wrong)
    with pytest.raises(MedclfError, match="all of one shape"):
        widgets.augmentations(image, well, mask[1:])
    with pytest.raises(MedclfError, match="no change 'blur'"):
        widgets.what_is_left(*patient, "blur", 1.0)


def test_the_callers_random_numbers_stay_as_they_were(patient):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert widgets.augmentations(*patient).frames
    assert torch.equal(before, torch.get_rng_state())


# --- confounding ---------------------------------------------------------------------------


def test_every_seed_is_drawn_and_said():
    frame = widgets.confounding(three_tests).draw(1.0)
    assert frame.says == (
        "Mean ROC-AUC of 2 seeds: in 0.85 (0.80 to 0.90), out 0.65 (0.60 to 0.70), "
        "away 0.40 (0.20 to 0.60)."
    )
    assert frame.html.count('r="3"') == 6
    assert frame.html.count('r="6"') == 3
    looks = re.findall(r'stroke-dasharray="([^"]+)"/>(?:<text|</svg)', frame.html)
    assert len(set(looks)) == 4  # three tests and guessing: told apart without colour


def test_higher_is_drawn_higher_and_what_comes_is_not_given_away():
    shown = widgets.confounding(three_tests, (0.0, 0.5, 1.0))
    for k, frame in enumerate(shown.frames):
        lines = re.findall(r'points="([^"]+)"', frame.html)[1:]
        assert [len(line.split()) for line in lines] == [k + 1] * 3
    ends = [float(line.split()[-1].split(",")[1]) for line in lines]
    assert ends == sorted(ends)  # in above out above away


def test_each_strength_is_measured_once_and_between_them_on_demand():
    asked = []
    shown = widgets.confounding(lambda s: asked.append(s) or three_tests(s))
    assert shown.frames
    assert sorted(asked) == list(shown.dials[0].values)
    shown.draw(0.55)
    assert asked[-1] == 0.55
    assert len(asked) == len(shown.dials[0].values) + 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "one to 3 tests"),
        ({name: [0.5] for name in "abcd"}, "one to 3 tests"),
        ({"a": [1.2]}, "ROC-AUC in"),
        ({"a": []}, "ROC-AUC in"),
        ({"a": [float("nan")]}, "ROC-AUC in"),
    ],
)
def test_what_is_no_roc_auc_is_refused(given, said):
    with pytest.raises(MedclfError, match=said):
        widgets.confounding(lambda _: given).draw(0.0)
