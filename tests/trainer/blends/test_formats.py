"""Every file is read back by the rules of the trainer it is for, and has to give the blend again."""

from __future__ import annotations

import ast
import json
import os
import shlex
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from scipy.stats import binomtest

from trainer.blends import Blend, BlendPhase, Source, export

SHARES = {"web: en": Fraction(1, 3), "code": Fraction(1, 2), 'O\'Hara "law" é😀': Fraction(1, 6)}
LOCATIONS = ("/data/my corpus/web $(id)", "s3://bucket/it's #1/code", '/data/"law"\\é😀;x')
LATER = (BlendPhase(600, {"code": 0.25, "web: en": 0.75}),)
ONE = dict(zip(LOCATIONS, SHARES.values(), strict=True))
STAGES = [ONE, {LOCATIONS[0]: Fraction(3, 4), LOCATIONS[1]: Fraction(1, 4)}]


def blend(phases: tuple[BlendPhase, ...] = ()) -> Blend:
    sources = zip(SHARES.items(), LOCATIONS, strict=True)
    return Blend(tuple(Source(name, share, place, 10_000) for (name, share), place in sources), 1_000, phases)


def shares(pairs: list[tuple[Any, str]]) -> dict[str, Fraction]:
    """Exact shares by location, as a trainer that normalises weights sees them."""
    total = sum(Fraction(weight) for weight, _ in pairs)
    found = {location: Fraction(weight) / total for weight, location in pairs}
    assert sum(found.values()) == 1
    assert len(found) == len(pairs)
    return found


def zipped(flat: list[Any]) -> list[tuple[Any, str]]:
    """get_blend_from_list of megatron-core: weight, prefix, weight, prefix; prefixes are stripped."""
    return [(str(weight), prefix.strip()) for weight, prefix in zip(flat[::2], flat[1::2], strict=True)]


def assigned(text: str) -> dict[str, ast.expr]:
    """Expressions by the name that a Python file assigns them to."""
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.Assign)]
    return {node.targets[0].id: node.value for node in nodes if isinstance(node.targets[0], ast.Name)}


@pytest.mark.parametrize("phases", [(), LATER])
def test_megatron_lists(phases: tuple[BlendPhase, ...]) -> None:
    files = export(blend(phases), "megatron").files
    suffixes = ["-phase-1", "-phase-2"] if phases else [""]
    assert len(files) == 3 * len(suffixes)
    for suffix, expected in zip(suffixes, STAGES, strict=False):
        script = files[f"megatron{suffix}.sh"]
        inside = script.split("DATA_PATH=(\n")[1].rsplit(")", 1)[0]
        assert shares(zipped(shlex.split(inside))) == expected
        done = subprocess.run(
            ["bash", "-c", script + 'printf "%s\\0" "${DATA_PATH[@]}"'], capture_output=True, check=True
        )
        assert shares(zipped(done.stdout.decode().split("\0")[:-1])) == expected

        nemo = yaml.safe_load(files[f"nemo{suffix}.yaml"])
        assert shares(zipped(nemo["model"]["data"]["data_prefix"])) == expected

        names: dict[str, Any] = {}
        exec(files[f"megatron_bridge{suffix}.py"], names)
        prefixes, weights = names["blend"]
        assert shares(list(zip(weights, prefixes, strict=True))) == expected
        assert shares(zipped(names["paths"])) == expected
        assert all(isinstance(weight, float) for weight in weights)


def test_megatron_tells_from_where_to_where_a_file_holds() -> None:
    files = export(blend(LATER), "megatron").files
    assert "# This file: from token 0 up to token 600." in files["nemo-phase-1.yaml"]
    assert "# This file: from token 600 up to token 1,000." in files["nemo-phase-2.yaml"]
    assert "This file" not in export(blend(), "megatron").files["nemo.yaml"]


@pytest.mark.parametrize("phases", [(), LATER])
def test_llm_foundry_streams(phases: tuple[BlendPhase, ...]) -> None:
    content = yaml.safe_load(export(blend(phases), "llm-foundry", seed=9).files["llm_foundry.yaml"])
    loader = content["train_loader"]
    assert (loader["name"], loader["dataset"]["shuffle_seed"], content["max_duration"]) == ("text", 9, "1000tok")
    datasets, durations = [loader["dataset"]], []
    if phases:
        curriculum = content["callbacks"]["curriculum_learning"]
        datasets += [mix["dataset"] for mix in curriculum["schedule"]]
        durations = [curriculum["duration"], *(mix["duration"] for mix in curriculum["schedule"])]
        # The callback refuses durations that do not sum to max_duration.
        assert durations == ["600tok", "400tok"]
    for dataset, expected in zip(datasets, STAGES, strict=False):
        streams = dataset["streams"]
        assert set(streams) <= set(SHARES)
        assert all(set(s) in ({"local", "proportion"}, {"remote", "proportion"}) for s in streams.values())
        found = [(s["proportion"], s.get("local", s.get("remote"))) for s in streams.values()]
        assert shares(found) == expected
    assert set(datasets[0]["streams"]["code"]) == {"remote", "proportion"}


def test_torchtitan_sources() -> None:
    names = assigned(export(blend(), "torchtitan", seed=4).files["torchtitan_blend.py"])
    places = ast.literal_eval(names["LOCATIONS"])
    call = names["dataloader"]
    assert isinstance(call, ast.Call)
    assert ast.unparse(call.func) == "InterleavedHuggingFaceTextDataLoader.Config"
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    assert isinstance(given["sources"], ast.List)
    sources = [
        {keyword.arg: ast.literal_eval(keyword.value) for keyword in item.keywords}
        for item in given["sources"].elts
        if isinstance(item, ast.Call)
    ]
    assert all(source["dataset"] == source["dataset"].lower() and source["infinite"] for source in sources)
    assert shares([(source["weight"], places[source["dataset"]]) for source in sources]) == ONE
    assert ast.literal_eval(given["seed"]) == 4


def test_torchtitan_refuses_names_that_differ_in_case_only() -> None:
    sources = (Source("Web", 0.5, "/a", 9), Source("web", 0.5, "/b", 9))
    with pytest.raises(ValueError, match="'web' is several sources"):
        export(Blend(sources, 10), "torchtitan")


def test_huggingface_script() -> None:
    text = export(blend(), "huggingface", seed=11).files["huggingface_blend.py"]
    names = assigned(text)
    assert shares(list(ast.literal_eval(names["SOURCES"]).values())) == ONE
    call = names["mixture"]
    assert isinstance(call, ast.Call)
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    assert ast.literal_eval(given["seed"]) == 11
    assert ast.literal_eval(given["stopping_strategy"]) == "all_exhausted"
    assert "WARNING: the source of every example is drawn at random" in text


FALSE_ALARM = 1e-6
"""Probability that correct draws fail the test of one source, over seeds; a given seed always draws the same."""


def test_huggingface_script_draws_the_shares(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    draws, rows = 2_000, 2_500
    wanted = {"web": Fraction(3, 5), "law": Fraction(7, 20), "code": Fraction(1, 20)}
    sources = []
    for name, share in wanted.items():
        folder = tmp_path / f"the {name}'s folder"
        folder.mkdir()
        lines = (json.dumps({"source": name, "text": f"{name} {i}"}) for i in range(rows))
        (folder / "rows.jsonl").write_text("\n".join(lines), "utf-8")
        sources.append(Source(name, share, str(folder), rows))
    text = export(Blend(tuple(sources), draws), "huggingface", seed=3).files["huggingface_blend.py"]
    script = tmp_path / "script.py"
    script.write_text(
        f"{text}\nimport collections, json\n"
        f"print(json.dumps(collections.Counter(row['source'] for row in mixture.take({draws}))))\n",
        "utf-8",
    )
    offline = {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=os.environ | offline, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    assert sum(counts.values()) == draws
    for name, share in wanted.items():
        assert binomtest(counts[name], draws, float(share)).pvalue > FALSE_ALARM
    # And the test can tell: the shares of other sources would be refused.
    assert binomtest(counts["web"], draws, float(wanted["law"])).pvalue < FALSE_ALARM
    assert binomtest(counts["code"], draws, float(wanted["law"])).pvalue < FALSE_ALARM
