"""The page that `explore` writes: it loads nothing, no name breaks out of it, and what it says is so. `test_explore_browser` uses it."""

import base64
import hashlib
import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.core.errors import ArgumentError, DrawError, DTypeError, GradientError
from graphc.show import explorer, style

HOSTILE = "</script><img src=x onerror=\"alert('1')\"><!--<b>&amp;\u2028\x00\ud800"


def training_step(backend="numpy", **options):
    x, y = gc.input("x", ("batch", 8)), gc.input("y", ("batch", 3))
    shapes = {"W1": (8, 5), "b1": (5,), "W2": (5, 3), "b2": (3,)}
    w = {name: gc.variable(np.full(shape, 0.1, "float32"), name) for name, shape in shapes.items()}
    with gc.scope("hidden"):
        h = gc.relu(x @ w["W1"] + w["b1"]).named("h")
    with gc.scope("output"):
        p = gc.softmax(h @ w["W2"] + w["b2"]).named("p")
    with gc.scope("loss"):
        loss = gc.mean(-gc.sum(y * gc.log(p), axis=-1)).named("loss")
    with gc.scope("sgd"):
        updates = {v: v - 0.1 * g for v, g in zip(w.values(), gc.grad(loss, list(w.values())), strict=True)}
    return gc.compile([x, y], {"loss": loss, "p": p}, updates, backend=backend, **options)


def read(page):
    """The data of a page."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def explored(graph, tmp_path, **options):
    page = gc.explore(graph, tmp_path / "graph.html", **options).html
    return page, read(page)


def node(data, name, at=0):
    return next(i for i in data["passes"][at]["nodes"] if data["nodes"][i]["n"] == name)


def follow(data, place, until):
    for stage in data["passes"][1 : until + 1]:
        place = stage["became"].get(str(place), place)
        if place not in stage["nodes"]:
            return None
    return place


@pytest.fixture(scope="module")
def step():
    return training_step()


@pytest.fixture(scope="module")
def step_page(step, tmp_path_factory):
    return explored(step, tmp_path_factory.mktemp("step"))


# ---------------------------------------------------------------- the file
class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def tags(page):
    parser = Tags()
    parser.feed(page)
    return parser.tags


def policy_of(page):
    return next(a["content"] for tag, a in tags(page) if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")


def test_the_page_loads_nothing_and_has_no_handlers(step_page):
    found = tags(step_page[0])
    names = {name for _, attributes in found for name in attributes}
    assert not {"src", "href", "srcset", "action", "style"} & names
    assert not [name for name in names if name.startswith("on")]
    assert not {"link", "iframe", "img", "object", "embed", "base"} & {tag for tag, _ in found}
    assert not re.search(r"@import|url\((?!#)|https?://(?!www\.w3\.org/2000/svg)", step_page[0])


def test_the_policy_allows_this_script_and_this_style_alone(step_page):
    policy = policy_of(step_page[0])
    script = step_page[0].rsplit("<script>", 1)[1].split("</script>")[0]
    own_style = step_page[0].split("<style>", 1)[1].split("</style>")[0]
    for kind, text in (("script", script), ("style", own_style)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "trusted-types 'none'" in policy


def test_no_name_breaks_out(tmp_path):
    x = gc.input(HOSTILE, (4,))
    with gc.scope(HOSTILE):
        y = gc.exp(x).named(HOSTILE)
    fn = gc.compile([x], gc.sum(y))
    page, data = explored(fn, tmp_path, title=HOSTILE)
    assert [tag for tag, _ in tags(page)].count("script") == 2
    assert "<img" not in page
    assert not set("\u2028\x00<>&") & set(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert "\ufffd" in data["groups"][0]["name"]
    assert data["groups"][0]["name"].startswith("</script><img src=x onerror=")
    assert any(one.get("o", "").startswith("</script>") for one in data["nodes"])


def test_the_page_is_the_same_in_every_process(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_explore import training_step; import graphc as gc;"
        "gc.explore(training_step(), sys.argv[2])"
    )
    here = str(Path(__file__).parent)
    pages = []
    for seed in "12":
        path = tmp_path / f"{seed}.html"
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))}
        subprocess.run([sys.executable, "-c", script, here, str(path)], check=True, env=environment)
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]


def test_a_notebook_shows_it_in_a_frame(step, tmp_path):
    found = gc.explore(step, tmp_path / "graph.html", title='a "b"')
    shown = found._repr_html_()
    (tag, attributes), *others = tags(shown)
    assert (tag, others) == ("iframe", [])
    assert attributes["srcdoc"] == found.html
    assert attributes["title"] == 'a "b"'
    assert repr(found) == f"<Exploration of 'a \"b\"': {tmp_path / 'graph.html'}>"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_enough_contrast(scheme):
    sheet = files("graphc.show.explorer").joinpath("explorer.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[0]))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[1]))
    surfaces = ["page", "panel", "raised", "frame", "frame-back"]
    boxes = ["forward", "back", "input", "variable", "constant", "parameter", "output", "group", "group-back"]
    marks = ["changed-fill", "path-fill", "reverse-fill", "hit"]
    pairs = [("ink", on) for on in surfaces + boxes + marks]
    pairs += [("quiet", on) for on in [*surfaces[:3], "forward"]]
    pairs += [("accent", "page"), ("accent", "panel"), ("on-accent", "accent"), ("back-line", "page"), ("back-line", "panel")]
    pairs += [("path", "path-fill"), ("reverse", "reverse-fill")]
    assert {pair: round(style.contrast(*[colours[name] for name in pair]), 2) for pair in pairs if _low(colours, pair, 4.5)} == {}
    lines = [
        ("edge", "page"),
        ("edge", "frame"),
        ("forward-line", "page"),
        ("changed", "page"),
        ("path", "frame"),
        ("reverse", "frame-back"),
    ]
    assert [pair for pair in lines if _low(colours, pair, 3)] == []


def _low(colours, pair, least):
    return style.contrast(*[colours[name] for name in pair]) < least


# ---------------------------------------------------------------- what it says
def test_names_are_unlike_in_each_pass_and_stay_from_pass_to_pass(step_page):
    data = step_page[1]
    for stage in data["passes"]:
        names = [data["nodes"][i]["n"] for i in stage["nodes"] if "hidden" not in data["nodes"][i]]
        assert len(set(names)) == len(names)
    h = node(data, "h")
    assert {data["nodes"][follow(data, h, p)]["n"] for p in range(len(data["passes"]))} == {"h"}


def test_passes_fit_together(step_page, step):
    data = step_page[1]
    assert [stage["name"] for stage in data["passes"]][:2] == ["declared", "simplify"]
    assert data["passes"][-1]["title"] == "polish: lowered"
    for before, stage in zip(data["passes"], data["passes"][1:], strict=False):
        old, new = set(before["nodes"]), set(stage["nodes"])
        assert set(map(int, stage["became"])) <= old
        assert set(stage["became"].values()) <= new
        assert set(stage["changed"]) <= new - old
        assert set(stage["gone"]) <= old - new - set(map(int, stage["became"]))
        for place in stage["nodes"]:
            assert set(data["nodes"][place]["i"]) <= new
    assert sum(len(stage["rules"]) for stage in data["passes"]) == len(step.report.applied)


def test_a_rule_says_what_it_touched(step_page):
    data = step_page[1]
    fired = [(p, one) for p, stage in enumerate(data["passes"]) for one in stage["rules"]]
    p, (rule, before, after, made, old, new) = next((p, one) for p, one in fired if None not in one[1:3] and one[3])
    assert data["rules"][rule]["name"]
    assert old != new
    assert old
    assert after in data["passes"][p]["nodes"]
    assert before in data["passes"][p - 1]["nodes"]
    assert set(made) <= set(data["passes"][p]["nodes"])
    assert all(rule["does"] and rule["safety"] for rule in data["rules"])


def test_lines_of_the_source_lead_to_nodes(step_page, step):
    page, data = step_page
    lines = step.source.splitlines()
    shown = [html.unescape(re.sub(r"</?i>", "", line)) for line in re.findall(r'<div class="line[^>]*>(.*?)</div>', page)]
    assert shown == lines
    last = set(data["passes"][-1]["nodes"])
    found = dict(data["lines"])
    assert all(set(ids) <= last for ids in found.values())
    relu = follow(data, node(data, "h"), len(data["passes"]) - 1)
    assert any("maximum" in lines[number - 1] for number, ids in found.items() if relu in ids)
    written = {i for ids in found.values() for i in ids}
    missing = [data["nodes"][i]["n"] for i in last if data["nodes"][i]["k"] == "operator" and i not in written]
    assert missing == []


def test_a_node_knows_its_line_and_its_group(step_page):
    data = step_page[1]
    h = data["nodes"][node(data, "h")]
    file, _, text = data["origins"][h["l"]]
    assert file == "test_explore.py"
    assert text == 'h = gc.relu(x @ w["W1"] + w["b1"]).named("h")'
    assert data["groups"][h["g"]]["name"] == "hidden"
    assert data["groups"][data["nodes"][node(data, "W1")]["g"]]["name"] == "hidden"
    assert data["nodes"][node(data, "x")]["g"] == -1
    assert h["f"] == f"relu({data['nodes'][h['i'][0]]['n']})"
    assert h["c"][0] == "5*batch"


def test_cotangents_and_the_reversed_path(step_page):
    data = step_page[1]
    of = data["grad"]["of"]
    assert data["nodes"][data["grad"]["root"]]["n"] == "loss"
    h, w1 = node(data, "h"), node(data, "W1")
    assert re.fullmatch(r"∂loss/∂t\d+ (· )?W2ᵀ", of[str(h)]["f"])
    assert data["nodes"][of[str(w1)]["id"]]["b"] == 1
    assert data["groups"][data["nodes"][of[str(w1)]["id"]]["g"]]["name"] == "∂ hidden"
    place, steps = w1, 0
    while place != data["grad"]["root"]:
        place, steps = of[str(place)]["via"][0][0], steps + 1
    assert steps == 11  # matmul, +, relu, matmul, +, softmax, log, ⊙, sum, negative, mean
    assert str(node(data, "x")) not in of


def test_memory_over_time(step, tmp_path):
    step(np.zeros((16, 8), "float32"), np.zeros((16, 3), "float32"))
    page, data = explored(step, tmp_path)
    memory = data["memory"]
    assert "batch = 16" in page
    assert len(memory["use"]) == len(memory["steps"])
    assert memory["use"][memory["peak"]] == max(memory["use"])
    buffers = {}
    for place, first, last, size, begin, where in memory["values"]:
        assert 0 <= first <= last < len(memory["steps"])
        assert place in memory["steps"][first]
        buffers.setdefault(where, set()).add(begin)
        assert size > 0
    assert all(len(begins) == 1 for where, begins in buffers.items() if where.startswith("buffer"))
    held = [sum(v[3] for v in memory["values"] if v[1] <= n <= v[2]) for n in range(len(memory["use"]))]
    turned = 16 * 3 * 4  # the copy of short rows that the largest of each is looked for in
    assert all(used <= most + turned for used, most in zip(memory["use"], held, strict=True))  # in place, two values are in one buffer
    assert page.count('<rect id="m') == len(memory["values"])


def test_a_tensor_is_compiled_with_its_gradient(tmp_path):
    x, w = gc.input("x", (3,)), gc.variable(np.ones(3, "float32"), "w")
    y = gc.tanh(x * w).named("y")
    data = explored(y, tmp_path, wrt=w)[1]
    assert data["nodes"][data["grad"]["root"]]["n"] == "y"
    assert set(data["grad"]["of"]) == {str(node(data, name)) for name in ("w", "y", "t1")}
    assert [data["nodes"][i]["out"] for i in data["passes"][0]["nodes"] if "out" in data["nodes"][i]] == ["output", "output"]
    assert explored(y, tmp_path)[1]["grad"] is None


def test_loops_are_groups_with_what_they_carry(tmp_path):
    xs, h0 = gc.input("xs", (5, 3)), gc.input("h0", (3,))
    w = gc.variable(np.ones(3, "float32"), "w")
    last, _ = gc.scan(lambda h, x: (gc.tanh(h * w + x), h), h0, xs)
    data = explored(gc.sum(last).named("loss"), tmp_path, wrt=[w])[1]
    loops = [group for group in data["groups"] if group["kind"] == "loop"]
    assert "scan × 5" in {group["name"] for group in loops}
    loop = next(data["nodes"][group["node"]] for group in loops)
    inside = [i for i in data["passes"][0]["nodes"] if data["nodes"][i]["g"] == loop["body"]]
    assert {data["nodes"][i]["k"] for i in inside} == {"parameter", "operator"}
    assert {"h", "x"} <= {data["nodes"][i]["n"] for i in inside if data["nodes"][i]["k"] == "parameter"}
    ((after, before),) = loop["carried"][:1]
    assert (data["nodes"][after]["op"], data["nodes"][before]["n"]) == ("tanh", "h")
    lowered = set(data["passes"][-1]["nodes"])
    assert any(i in lowered and data["nodes"][i].get("op") == "tanh" for _, ids in data["lines"] for i in ids)


def test_branches_have_a_group_each(tmp_path):
    x = gc.input("x", (3,))
    y = gc.cond(gc.sum(x) > 0, lambda a: gc.exp(a), lambda a: gc.sin(a), x)
    data = explored(y, tmp_path)[1]
    assert {"on true", "on false"} <= {group["name"] for group in data["groups"] if group["kind"] == "body"}


def test_a_function_on_jax(tmp_path):
    data = explored(training_step("jax"), tmp_path)[1]
    assert data["grad"]["of"]
    assert data["memory"]["values"][0][5] == "needed"
    written = {i for _, ids in data["lines"] for i in ids}
    last = data["passes"][-1]["nodes"]
    assert [data["nodes"][i]["n"] for i in last if data["nodes"][i]["k"] == "operator" and i not in written] == []


def test_a_model_shows_its_step_of_training(tmp_path):
    model = nn.Sequential([nn.layers.Input((4,)), nn.layers.Dense(3, activation="relu"), nn.layers.Dense(1)], name="small")
    model.compile("sgd", "mse")
    with pytest.raises(ArgumentError, match="no step of 'train'"):
        gc.explore(model, tmp_path / "graph.html")
    model.fit(np.ones((8, 4), "float32"), np.ones((8, 1), "float32"), batch_size=4, verbose=0)
    page, data = explored(model, tmp_path)
    assert "<h1>small</h1>" in page
    names = [group["name"] for group in data["groups"]]
    assert {"small", "∂ small", "sgd", "loss"} <= set(names)
    kernel = next(one for one in data["nodes"] if one.get("o", "").endswith("/kernel"))
    assert data["groups"][kernel["g"]]["parent"] == names.index("small")


def test_a_function_that_was_not_optimized_and_one_without_steps(tmp_path):
    assert explored(training_step(optimize=False), tmp_path)[1]["passes"][-1]["rules"] == []
    x = gc.input("x", (3,))
    page, data = explored(gc.compile([x], x), tmp_path)
    assert data["memory"] is None
    assert "Nothing is held" in page


# ---------------------------------------------------------------- what it refuses
def test_where_the_page_cannot_go(step, tmp_path):
    with pytest.raises(DrawError, match="no folder"):
        gc.explore(step, tmp_path / "no" / "graph.html")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DrawError, match="cannot go there"):
        gc.explore(step, tmp_path / "folder")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]


def test_what_is_no_graph(step, tmp_path):
    x, other = gc.input("x", (3,)), gc.input("other", (3,))
    path = tmp_path / "graph.html"
    for wrong, wrt, error in [
        ("text", (), ArgumentError),
        (step, x, ArgumentError),
        (gc.sum(x), other, GradientError),
        (gc.argmax(x), x, DTypeError),
    ]:
        with pytest.raises(error):
            gc.explore(wrong, path, wrt=wrt)
    assert not path.exists()


def test_an_exhibit_is_written_without_a_compiler():
    nodes = [
        explorer.Node("x", "input", "f32[]"),
        explorer.Node("y", "operator", "f32[]", "exp", "exp", "exp(x)", (0,), group=0, forward=0),
    ]
    one = explorer.Pass("declared", "declared", "As it is.", [0, 1])
    page = explorer.to_html(explorer.Exhibit("t", "s", nodes, [explorer.Group("g", "scope")], [], [], [one], "y = exp(x)\n", {1: (1,)}))
    data = read(page)
    assert data["nodes"][1] == {"n": "y", "k": "operator", "t": "f32[]", "i": [0], "g": 0, "of": 0, "o": "exp", "op": "exp", "f": "exp(x)"}
    assert (data["grad"], data["memory"], data["lines"]) == (None, None, [[1, [1]]])
