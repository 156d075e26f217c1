"""Patient rules: the right one, the wrong one by name, and no guess for anything else."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medclf_lite.errors import MedclfError
from medclf_lite.patients import join_metadata, patient_ids, subtypes

number = st.integers(1, 99999)
kind = st.sampled_from(["bacteria", "virus"])


@given(number, kind, number, st.none() | number)
def test_a_pneumonia_patient_is_its_number_and_subtype(n, subtype, sequence, part) -> None:
    tail = f"{sequence}" if part is None else f"{sequence}_{part}"
    name = f"test/PNEUMONIA/person{n}_{subtype}_{tail}.jpeg"
    assert patient_ids([name], "kaggle") == [f"person{n}_{subtype}"]
    assert subtypes([name]) == [subtype]


@given(st.sampled_from(["", "NORMAL2-"]), number, number, st.none() | number)
def test_a_normal_patient_is_the_name_up_to_the_image_number(prefix, n, image, part) -> None:
    tail = f"{image:04d}" if part is None else f"{image:04d}-{part:04d}"
    name = f"{prefix}IM-{n:04d}-{tail}.jpeg"
    assert patient_ids([name], "kaggle") == [f"{prefix}IM-{n:04d}"]
    assert subtypes([name]) == ["normal"]


@given(number, number)
def test_a_shared_number_is_two_people_by_the_right_rule_and_one_by_the_wrong(n, m) -> None:
    names = [f"person{n}_bacteria_{m}.jpeg", f"person{n}_virus_{m}.jpeg"]
    assert len(set(patient_ids(names, "kaggle"))) == 2
    assert len(set(patient_ids(names, "tutorial"))) == 1


kaggle_name = st.builds("person{}_{}_{}.jpeg".format, st.integers(1, 4), kind, st.integers(1, 3))


@given(kaggle_name, kaggle_name)
def test_two_names_are_one_patient_exactly_if_number_and_subtype_agree(a: str, b: str) -> None:
    first, second = patient_ids([a, b], "kaggle")
    assert (first == second) == (a.split("_")[:2] == b.split("_")[:2])


def test_the_odd_file_of_the_set_is_a_viral_case_with_an_ordinary_number() -> None:
    assert patient_ids(["person447_virus_921_1.jpeg"], "kaggle") == ["person447_virus"]


def test_the_wrong_rule_makes_each_normal_image_a_patient() -> None:
    names = ["IM-0117-0001.jpeg", "IM-0117-0002.jpeg"]
    assert len(set(patient_ids(names, "kaggle"))) == 1
    assert len(set(patient_ids(names, "tutorial"))) == 2


@pytest.mark.parametrize(
    "name",
    ["scan.jpeg", "person_virus_1.jpeg", "person1_fungus_1.jpeg", "IM-0117.jpeg",
     "person1_virus_1 copy.jpeg", "müller.jpeg", "person1_virus_1\n.jpeg", "person٣_virus_1.jpeg",
     ""],
)  # fmt: skip
def test_a_name_that_does_not_match_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(MedclfError) as problem:
        patient_ids(["IM-0001-0001.jpeg", name], "kaggle")
    assert repr(name) in str(problem.value)
    assert "1 of 2" in str(problem.value)
    assert subtypes([name]) is None


def test_a_regular_expression_of_the_callers_own_finds_the_patient() -> None:
    rule = r"(?P<patient>Fall-\d+)"
    assert patient_ids(["x/Fall-7_ä.png", "Fall-8.png"], rule) == ["Fall-7", "Fall-8"]


@pytest.mark.parametrize(
    ("rule", "message"),
    [("kagle", "no group named 'patient'"), ("(", "nor a regular"),
     (r"(?P<patient>x*)", "does not match")],
)  # fmt: skip
def test_an_unusable_rule_says_what_to_write(rule: str, message: str) -> None:
    with pytest.raises(MedclfError, match=message):
        patient_ids(["case1.png"], rule)


def test_the_number_at_the_end_of_a_dicom_uid_is_no_extension() -> None:
    rule = r"(?P<patient>\d+)$"
    assert patient_ids(["1.2.840.113", "1.2.840.113.dcm"], rule) == ["113", "113"]


@given(st.permutations(range(5)))
def test_metadata_are_joined_by_name_whatever_the_order_of_rows(order: list[int]) -> None:
    table = pd.DataFrame({"file": [f"{i}.png" for i in order], "patient_id": order,
                          "site": [f"s{i}" for i in order]})  # fmt: skip
    found = join_metadata([f"train/A/{i}.png" for i in range(5)], table)
    assert found["patient_id"].tolist() == ["0", "1", "2", "3", "4"]
    assert found["site"].tolist() == ["s0", "s1", "s2", "s3", "s4"]


def test_metadata_by_path_tell_files_of_one_name_apart() -> None:
    table = pd.DataFrame({"image_id": ["A/1.png", "B/1.png"], "patient_id": ["p", "q"]})
    assert join_metadata(["B/1.png", "A/1.png"], table)["patient_id"].tolist() == ["q", "p"]
    by_name = pd.DataFrame({"file": ["1.png"], "patient_id": ["p"]})
    with pytest.raises(MedclfError, match=r"Two files are called '1.png'.*'B/1.png'"):
        join_metadata(["B/1.png", "A/1.png"], by_name)


def test_leading_zeros_of_a_csv_survive_and_whole_floats_are_whole(tmp_path) -> None:
    path = tmp_path / "who.csv.gz"
    pd.DataFrame({"file": ["a.png"], "patient_id": ["007"], "age": [50]}).to_csv(path, index=False)
    found = join_metadata(["a.png"], path)
    assert found.to_dict("records") == [{"patient_id": "007", "age": 50}]
    floats = pd.DataFrame({"file": ["a.png"], "patient_id": [7.0]})
    assert join_metadata(["a.png"], floats)["patient_id"].tolist() == ["7"]


def test_the_two_unicode_spellings_of_an_accent_are_one_file() -> None:
    composed, decomposed = "m\u00fcller.png", "mu\u0308ller.png"
    table = pd.DataFrame({"file": [composed], "patient_id": ["p"]})
    assert join_metadata([decomposed], table)["patient_id"].tolist() == ["p"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"file": ["a.png"], "patient_id": ["p"]}, "1 files have no row.*'b.png'"),
        ({"file": ["a.png", "b.png", "c.png"], "patient_id": list("pqr")},
         "1 rows of the metadata table have no file.*'c.png'"),
        ({"file": ["a.png", "b.png", "b.png"], "patient_id": list("pqr")}, "'b.png' more than"),
        ({"file": ["a.png", "b.png"], "patient_id": ["p", None]}, "without patient_id.*b.png"),
        ({"file": ["a.png", "b.png"], "patient_id": ["p", " "]}, "without patient_id.*b.png"),
        ({"name": ["a.png", "b.png"], "patient_id": ["p", "q"]}, "it has 'name', 'patient_id'"),
        ({"file": ["a.png", "b.png"], "who": ["p", "q"]}, "it has 'file', 'who'"),
        ({"file": ["a.png", "b.png"], "patient_id": ["p", "q"], "key": [1, 2]}, "none called key"),
    ],
)  # fmt: skip
def test_metadata_that_do_not_fit_the_files_are_refused_by_name(rows, message: str) -> None:
    with pytest.raises(MedclfError, match=message):
        join_metadata(["a.png", "b.png"], pd.DataFrame(rows))


def test_a_row_of_a_file_that_was_left_out_is_no_fault() -> None:
    table = pd.DataFrame({"file": ["a.png", "broken.png"], "patient_id": ["p", "q"]})
    found = join_metadata(["X/a.png"], table, left_out=["X/broken.png"])
    assert found["patient_id"].tolist() == ["p"]


@pytest.mark.parametrize("head", ["", "\ufeff"])
def test_a_byte_order_mark_and_blanks_around_a_patient_mean_nothing(head: str, tmp_path) -> None:
    path = tmp_path / "who.csv"
    path.write_text(f"{head}file,patient_id\r\na.png, p \r\nb.png,p\r\n", encoding="utf-8")
    assert join_metadata(["a.png", "b.png"], path)["patient_id"].tolist() == ["p", "p"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file;patient_id\na.png;p\n", "commas between.*it has 'file;patient_id'"),
        ("File,Patient_ID\na.png,p\n", "spelt so.*it has 'File', 'Patient_ID'"),
        ("file, patient_id\na.png, p\n", "it has 'file', ' patient_id'"),
        ("file,patient_id\na.png,p\na.png,p\n", r"'a\.png' more than once"),
        ("file,patient_id\na.png,p\nb.png,q,r\n", "cannot be read as CSV"),
        ("file,patient_id\nA.PNG,p\n", r"no row in the metadata table.*'a\.png'"),
        ("file,patient_id\na.png,NA\n", "without patient_id"),
        ("file,patient_id\n", "1 files have no row"),
    ],
)
def test_a_csv_of_another_form_says_what_was_expected(text: str, message: str, tmp_path) -> None:
    path = tmp_path / "who.csv"
    path.write_text(text)
    with pytest.raises(MedclfError, match=message):
        join_metadata(["a.png"], path)


def test_a_column_that_is_there_twice_is_refused() -> None:
    table = pd.DataFrame([["a.png", "p", "q"]], columns=["file", "patient_id", "patient_id"])
    with pytest.raises(MedclfError, match="once each"):
        join_metadata(["a.png"], table)


@pytest.mark.parametrize("content", [None, b"", b"\x1f\x8b damaged", b'"a\n'])
def test_a_table_that_cannot_be_read_is_named(tmp_path, content: bytes | None) -> None:
    path = tmp_path / "who.csv.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MedclfError, match=r"who\.csv\.gz cannot be read as CSV"):
        join_metadata(["a.png"], path)


@pytest.mark.real
def test_the_real_names_give_the_published_numbers_of_patients(real_data) -> None:
    files = pd.read_csv(real_data / "chest_xray_224" / "manifest.csv")
    files["right"] = patient_ids(files["name"].tolist(), "kaggle")
    files["wrong"] = patient_ids(files["name"].tolist(), "tutorial")
    train = files[files["split"] == "train"]
    assert train["right"].nunique() == 3654
    assert train["wrong"].nunique() == 2976
    by_class = train.groupby("cls")[["right", "wrong"]].nunique()
    assert by_class.loc["NORMAL"].tolist() == [1211, 1341]
    assert by_class.loc["PNEUMONIA"].tolist() == [2443, 1635]
    assert (files["right"].nunique(), files["wrong"].nunique()) == (4097, 3257)
    assert (files["right"] == files["patient"]).all()
    assert not set(train["right"]) & set(files.loc[files["split"] == "test", "right"])
    assert int((files.groupby("wrong")["split"].nunique() > 1).sum()) == 170
    ill = files[files["cls"] == "PNEUMONIA"]
    mixed = ill.groupby("wrong")["kind"].nunique() > 1
    assert (int(mixed.sum()), len(mixed)) == (979, 1674)
    each = ill.groupby("right").size()
    spread = each.clip(upper=4).value_counts().sort_index().tolist()
    assert (spread, each.max(), each.idxmax()) == ([2002, 313, 121, 217], 30, "person23_bacteria")
