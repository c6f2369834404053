from __future__ import annotations

from histocnn.evaluation.table import to_csv
from histocnn.metrics.patch import patch_report
from histocnn.metrics.report import Report


def test_the_table_has_a_row_per_figure_and_empty_cells_where_undefined() -> None:
    patch = patch_report([[0.9, 0.1], [0.4, 0.6]], [0, 0], ["n", "t,u"])
    lines = to_csv(Report(title="", class_names=("n", "t,u"), patch=patch)).splitlines()
    assert lines[0] == "scope,figure,class,value,low,high,p,n,groups,note"
    assert lines[1] == "patches,accuracy,,0.5,,,,2,0,"
    assert 'patches,auroc,"t,u",,,,,2,0,' in lines
    assert len(lines) == 1 + len(patch.figures) + 2 * len(patch.per_class["n"])
