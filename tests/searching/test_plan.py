from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from histocnn.errors import UsageError
from histocnn.searching.plan import read_plan
from tests.searching.configurations import plan_of, write_config

ROOT = Path(__file__).parents[2]


def test_a_grid_of_two_by_three_has_six_trials(tmp_path):
    plan = plan_of(tmp_path)
    assert plan.trials == 6
    assert plan.of_features
    assert plan.maximize
    assert plan.features({"features.c": 0.1, "features.use": "far"}).c == 0.1
    assert plan.features({}).use == "near"


def test_the_example_is_a_configuration_of_train(tmp_path):
    plan = read_plan(ROOT / "configs/search.yaml", [f"--data.patches={tmp_path}"])
    options = plan.training({"model.learning_rate": 0.001, "data.augment": "light"})
    assert (options.model.learning_rate, options.data.augment) == (0.001, "light")
    assert options.data.patches == tmp_path
    assert plan.trials == 20


def test_what_makes_it_this_search_is_described_without_what_changes_nothing(tmp_path):
    asked = plan_of(tmp_path, minutes=5).described()
    assert asked["search.space.features.use"] == ["near", "far"]
    assert "search.minutes" not in asked


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([], "holds no options"),
        ({"model": {}}, "has no section search"),
        ({"model": 3, "search": {}}, "model 3 is no section"),
        ({"modle": {}, "search": {}}, "modle is no key. Did you mean"),
        ({"model": {"droput": 1}, "search": {}}, "model.droput is no key. Did you mean"),
        ({"search": {"metric": "acuracy", "space": {}}}, "Did you mean accuracy?"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path, told, said):
    path = tmp_path / "c.yaml"
    path.write_text(json.dumps(told))
    with pytest.raises(UsageError, match=re.escape(said)):
        read_plan(path)


def test_every_value_is_looked_at_before_the_first_trial(tmp_path):
    with pytest.raises(UsageError, match=re.escape("--features.c -1 is not positive")):
        plan_of(tmp_path, {"features.c": [0.1, -1]}).check()
    with pytest.raises(UsageError, match=r"features.use fra is none of the sets. Did you mean far"):
        plan_of(tmp_path, {"features.use": ["near", "fra"]}).check()
    with pytest.raises(UsageError, match=r"search.trials 5, but the grid has 6 combinations"):
        plan_of(tmp_path, trials=5)
    told = json.loads(write_config(tmp_path).read_text())
    told["features"]["sets"] = {"gone": str(tmp_path / "gone")}
    (tmp_path / "gone.yaml").write_text(json.dumps(told))
    with pytest.raises(UsageError, match=r"there is no .*gone"):
        read_plan(tmp_path / "gone.yaml").check()
