from __future__ import annotations

from types import SimpleNamespace

from histocnn.evaluation.provenance import areas_lost, model_of, private, slide_rows
from histocnn.evaluation.truth import SlideTruth
from histocnn.metrics.sections import AreaReport


def test_patients_and_folders_are_nobodys_business() -> None:
    told = {
        "model": "/home/somebody/model.safetensors", "windows": r"C:\\data\\s.svs",
        "patient_id": "x", "patients": 12, "slides": ["/a/b.tif", "plain"], "mpp": 0.5,
    }  # fmt: skip
    assert private(told) == {
        "model": "model.safetensors", "windows": "s.svs", "patients": 12,
        "slides": ["b.tif", "plain"], "mpp": 0.5,
    }  # fmt: skip


def test_paths_are_shown_when_asked(judged) -> None:
    file = judged.files[0]
    assert model_of(file, show_ids=False)["recipe"]["model"] == "model.safetensors"
    assert model_of(file, show_ids=True)["recipe"]["model"] == "/home/somebody/model.safetensors"


def test_each_slide_has_a_row(judged, entries) -> None:
    rows = slide_rows(judged, entries, show_ids=False)
    assert [row.slide_id for row in rows] == [f"slide_{i:02d}" for i in range(8)]
    right = (judged.called == judged.labels)[judged.file == 1]
    assert rows[1].accuracy == right.mean()
    assert (rows[1].patches, rows[1].judged, rows[1].unscored) == (300, 300, 0)
    assert (rows[2].centre, rows[2].seen, rows[2].patient_id) == ("B", "no", None)
    assert slide_rows(judged, entries, show_ids=True)[3].patient_id == "patient_03"


def test_areas_are_summed_and_slides_that_lose_much_are_named() -> None:
    def file(name: str, kept: float):
        areas = {"annotated_um2": 100.0, "in_tissue_um2": 99.0, "in_patches_um2": kept}
        return SimpleNamespace(slide_id=name, attributes={"annotation_areas": {"tumour": areas}})

    without = SimpleNamespace(slide_id="c", attributes={})
    truths = [SlideTruth(each) for each in (file("a", 98.0), file("b", 97.0), without)]
    assert areas_lost(truths) == {"tumour": AreaReport(200.0, 198.0, 195.0, ("b",))}
