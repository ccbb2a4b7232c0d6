"""The benchmark of accelerators at tiny sizes on the CPU: it runs, and graphc's losses are hand-written JAX's."""

from pathlib import Path

import pytest

from benchmarks import gpu


def test_it_runs_on_the_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    page = tmp_path / "performance.md"
    asked = ["--platform", "cpu", "--tiny", "--dtypes", "bfloat16", "--seconds", "0.02", "--markdown", str(page)]
    assert gpu.main(asked) == 0
    printed = capsys.readouterr().out
    assert page.read_text() == f"<!-- gpu: begin -->\n{printed}<!-- gpu: end -->\n"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()[2:5]]
    assert [row[:2] for row in rows] == [[f"{one.name}, tiny", "bfloat16"] for one in gpu.TRAININGS]
    for row in rows:
        assert all(float(cell.rstrip("~")) > 0 for cell in row[2:7])
        assert row[7:] == ["", ""]
    assert "The peak of cpu is not in the table." in printed


def test_other_losses_are_an_error(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "measured", lambda *_: gpu.Result(1.0, 2.0, 0.1, 0.1, float("nan")))
    monkeypatch.setattr(gpu, "device_kind", lambda _: "NVIDIA H200")
    assert gpu.main(["--only", "mlp", "--dtypes", "bfloat16"]) == 1
    printed = capsys.readouterr().out
    assert "mlp, bfloat16: the losses are nan apart" in printed
    assert [cell.strip() for cell in printed.splitlines()[2].strip("|").split("|")][2:5] == ["1000", "2000", "0.500"]


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "device_kind", lambda _: None)
    assert gpu.main([]) == 1
    assert 'JAX sees no gpu here: pip install "graphc[cuda]"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "peaks"),
    [
        ("NVIDIA H100 80GB HBM3", (494.5, 989)),
        ("NVIDIA H100 PCIe", (378, 756)),
        ("NVIDIA H200", (494.5, 989)),
        ("NVIDIA GH200 480GB", (494.5, 989)),
        ("NVIDIA A100-SXM4-40GB", (156, 312)),
        ("NVIDIA L40S", (183, 362)),
        ("NVIDIA GeForce RTX 4090", (82.6, 165.2)),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", (None, None)),
        ("NVIDIA A10G", (None, None)),
        ("TPU v5 lite", (None, 197)),
        ("TPU v5", (None, 459)),
        ("cpu", (None, None)),
    ],
)
def test_the_peak_is_that_of_the_chip(kind: str, peaks: tuple[float | None, float | None]) -> None:
    found = [gpu.peak(kind, dtype) for dtype in gpu.DTYPES]
    assert found == [None if one is None else one * 1e12 for one in peaks]


def test_work_is_counted() -> None:
    one = gpu.TRAININGS[0]
    assert one.flops(tiny=True) == 2 * 6 * (2 * 12 * 8 + 3 * 8 * 7 + 3 * 7 * 10)
