"""Mutants: how a patch is read and applied, and what counts as caught."""

from __future__ import annotations

import pytest

from scripts import explore, mutants
from scripts.errors import UserError

PATCH = """# A wake is lost.
# model: parker/one memory: tso
--- a/x.hpp
+++ b/x.hpp
@@ -2,3 +2,3 @@
 two
-three
+drei
 four
"""


def test_a_patch_applies_where_its_lines_have_moved(tmp_path) -> None:
    (tmp_path / "lost.patch").write_text(PATCH)
    patch = mutants.read_patch(tmp_path / "lost.patch")
    assert (patch.name, patch.stands_for, patch.models) == ("lost", "A wake is lost.", [("parker/one", "tso")])
    hunks = patch.files["x.hpp"]
    assert mutants.apply(hunks, "zero\none\ntwo\nthree\nfour\n") == "zero\none\ntwo\ndrei\nfour\n"
    assert mutants.apply(hunks, "two\nthree\nfive\n") is None


def test_a_patch_without_a_model_is_refused(tmp_path) -> None:
    (tmp_path / "bad.patch").write_text(PATCH.replace("model", "modell"))
    with pytest.raises(UserError, match=r"bad\.patch: a patch needs a line"):
        mutants.read_patch(tmp_path / "bad.patch")


def test_every_patch_of_the_kit_applies() -> None:
    for path in sorted(mutants.FOLDER.glob("*.patch")):
        for name, hunks in mutants.read_patch(path).files.items():
            text = (mutants.ROOT / name).read_text()
            patched = mutants.apply(hunks, text)
            assert patched is not None and patched != text, f"{path.name}: {name}"


def found(name: str, caught: bool, source: str) -> dict:
    return {"name": f"a.hpp:{name}", "file": "a.hpp", "source": source, "caught": caught, "executions": 1, "seconds": 0.1}


def test_a_survivor_must_be_listed_and_a_listed_one_must_survive() -> None:
    listed = mutants.read_equivalent("# reasons\na.hpp relax | x.load(acquire) | nobody reads behind it\n"
                                     "a.hpp relax | y.load(acquire) | said so\na.hpp relax | gone | gone\n")
    rows = mutants.judge([found("1:relax", False, "x.load(acquire)"), found("2:relax", True, "y.load(acquire)"),
                          found("3:relax", False, "z.load(acquire)"), found("4:relax", True, "w.load(acquire)")], listed)
    assert [row.outcome for row in rows] == ["equivalent", "listed as equivalent, but caught", "survives", "caught",
                                             "listed as equivalent, but there is no such place"]
    assert [row.is_right for row in rows] == [True, False, False, True, False]


def test_a_selection_names_models_and_mutants() -> None:
    models, has_mutants = explore.selection("parker")
    assert models and all("parker" in name for name in models)
    assert has_mutants
    assert explore.selection("no such thing") == ([], False)


def test_a_selection_takes_the_names_that_failures_are_printed_with() -> None:
    assert explore.selection("explore: parker/unpark_publishes tso") == (["parker/unpark_publishes"], False)
    assert explore.selection("mutant: runtimes/core/parker.hpp:12:relax") == ([], True)
    assert explore.weakens("mutant: runtimes/core/parker.hpp:12:relax")
    assert explore.weakens(None) and not explore.weakens("parker")
    assert explore.is_only_for("mutant: a.hpp:12:relax") and not explore.is_only_for("parker")


def test_a_model_that_fails_without_the_patch_has_caught_nothing() -> None:
    patches = [mutants.Patch(name, "", [("parker/one", "tso"), (model, "tso")], {})
               for name, model in (("a", "parker/two"), ("b", "parker/three"), ("c", "parker/two"))]
    rows = [mutants.Row("a", "", "caught"), mutants.Row("b", "", "caught"), mutants.Row("c", "", "does not link")]
    unpatched = dict.fromkeys([("parker/one", "tso"), ("parker/three", "tso")])
    unpatched["parker/two", "tso"] = "fails without the patch"
    outcomes = [row.outcome for row in mutants.judge_patched(rows, patches, unpatched)]
    assert outcomes == ["fails without the patch", "caught", "does not link"]


def test_what_no_share_has_tried_is_told() -> None:
    one = {"mutants": [found("1:relax", True, "x")], "all": ["a.hpp:1:relax", "a.hpp:2:relax"]}
    two = {"mutants": [found("2:relax", True, "y")], "all": ["a.hpp:1:relax", "a.hpp:2:relax", "a.hpp:3:relax"]}
    rows = mutants.untried([one, two])
    assert [(row.name, row.outcome, row.is_right) for row in rows] == [("a.hpp:3:relax", "was not tried", False)]
    assert mutants.untried([{"mutants": one["mutants"]}, {"mutants": two["mutants"]}]) == []
