from __future__ import annotations

import pytest

from histocnn.errors import PatchesError
from histocnn.models.data import PatchDataModule
from histocnn.models.hard import with_hard
from histocnn.models.options import DataOptions
from tests.models.patch_files import module, write_folder, write_grids


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("patches") / "images")


def hard_list(path, names):
    header = "name,row,x,y,path,slide_id,label,called,confidence"
    path.write_text("\n".join([header, *(f"x,0,,,{name},,a,b,0.9" for name in names)]))
    return path


def test_hard_examples_come_once_more(folder, tmp_path):
    plain = module(folder)
    train = plain.rows["train"]
    names = [train.name(3), train.name(0)]
    data = module(folder, hard=hard_list(tmp_path / "hard.csv", names))
    assert len(data.rows["train"]) == len(train) + 2
    assert [data.rows["train"].name(i) for i in (-2, -1)] == names
    assert len(data.rows["val"]) == len(plain.rows["val"])


def test_hard_examples_of_another_split_are_refused(folder, tmp_path):
    stranger = module(folder).rows["test"].name(0)
    with pytest.raises(PatchesError, match=f"1 of 1 patches are not in the training.*{stranger}"):
        module(folder, hard=hard_list(tmp_path / "hard.csv", [stranger]))


def test_a_slide_s_patch_is_found_by_its_place(tmp_path):
    data = PatchDataModule(DataOptions(write_grids(tmp_path), workers=0, augment="none"))
    train = data.rows["train"]
    x, y = train.sources[train.source[4]].coords[train.row[4]]
    listed = tmp_path / "hard.csv"
    listed.write_text(f"slide_id,path,x,y\n{train.slide_ids[4]},,{x},{y}\n")
    more = with_hard(train, listed)
    assert (len(more), more.name(len(train))) == (len(train) + 1, train.name(4))
