"""How exact float32 is, op by op: the largest error against float64, in units in the last place, the worst op first.

``python tests/accuracy.py`` prints a table. The same figures are bounded by tests/ops/test_table.py, op by op.
"""

import importlib.util
from pathlib import Path


def main() -> None:
    """Print the table."""
    spec = importlib.util.spec_from_file_location("test_table", Path(__file__).parent / "ops" / "test_table.py")
    assert spec is not None
    assert spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    rows = []
    for op in table.SMOOTH:
        value, place = table.worst_units(op, None)
        partials = [table.worst_units(op, i)[0] for i, partial in enumerate(op.partials) if callable(partial)]
        rows.append((value, max(partials, default=0.0), op, place))
    print(f"{'op':20} {'value':>8} {'partial':>8} {'allowed':>8}   worst at")
    for value, partial, op, place in sorted(rows, key=lambda row: -max(row[:2])):
        print(f"{op.name:20} {value:8.2f} {partial:8.2f} {op.ulps:8g}   {', '.join(f'{x:.6g}' for x in place)}")


if __name__ == "__main__":
    main()
