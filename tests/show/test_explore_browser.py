"""The explorer in headless Chromium: what a reader clicks, presses and drags, and that the console stays silent."""

import statistics
import time

import numpy as np
import pytest

import graphc as gc
from graphc.show import explorer
from tests.show import browser as driver

pytestmark = pytest.mark.skipif(driver.missing() is not None, reason=driver.missing() or "")
HOSTILE = '</script><img src=x onerror="window.broken = 1">'
MANY = 5000


def _step():
    x, y = gc.input("x", ("batch", 8)), gc.input("y", ("batch", 3))
    w1, w2 = (gc.variable(np.full(shape, 0.1, "float32"), name) for name, shape in (("W1", (8, 5)), ("W2", (5, 3))))
    with gc.scope("hidden"):
        h = gc.relu(x @ w1).named("h")
    with gc.scope(HOSTILE):
        p = gc.softmax(h @ w2).named(HOSTILE)
    loss = gc.mean(-gc.sum(y * gc.log(p), axis=-1)).named("loss")
    with gc.scope("sgd"):
        updates = {w: w - 0.1 * g for w, g in zip([w1, w2], gc.grad(loss, [w1, w2]), strict=True)}
    return gc.compile([x, y], loss, updates)


def _large():
    """Many nodes without a compiler: a chain whose links skip now and then."""
    nodes = [explorer.Node("t0", "input", "f32[8]")]
    for i in range(1, MANY):
        inputs = (i - 1, max(0, i - 40)) if i % 10 == 0 else (i - 1,)
        nodes.append(
            explorer.Node(f"t{i}", "operator", "f32[8]", ("tanh", "+", "exp")[i % 3], "op", f"f(t{i - 1})", inputs, group=i // 250)
        )
    groups = [explorer.Group(f"block{i}", "scope") for i in range(MANY // 250)]
    one = explorer.Pass("declared", "declared", "As it is.", list(range(MANY)))
    source = "\n".join([f"t{i} = f(t{i - 1})" for i in range(1, MANY)])
    return explorer.to_html(explorer.Exhibit("large", "", nodes, groups, [], [], [one], source, {i: (i,) for i in range(1, MANY)}))


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    found = driver.Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    gc.explore(_step(), folder / "step.html", title=HOSTILE)
    (folder / "large.html").write_text(_large(), encoding="utf-8")
    return folder


@pytest.fixture
def page(session, pages):
    """The page of a step of training, just opened; at the end its console must have said nothing."""
    session.open(pages / "step.html")
    yield session
    assert session.console() == []
    assert session.run("return window.broken") is None


def text(page, selector):
    return page.run("return document.querySelector(arguments[0]).textContent", selector)


def count(page, selector):
    """How many there are, once what was asked for is drawn."""
    script = "const s = arguments[0]; requestAnimationFrame(() => setTimeout(() => done(document.querySelectorAll(s).length), 0))"
    return page.wait(script, selector)


def item(title):
    """The box with this title, as a selector by its key."""
    return f'[data-key="{title}"]'


def key_of(page, words):
    """The key of the box in which these words stand."""
    script = """
        const boxes = [...document.querySelectorAll('#scene [data-key]')];
        return boxes.filter(one => [...one.querySelectorAll('text')].some(t => t.textContent.includes(arguments[0]))).at(-1)?.dataset.key"""
    return page.run(script, words)


def pass_to(page, number):
    page.run("const r = document.getElementById('pass'); r.value = arguments[0]; r.dispatchEvent(new Event('input'))", number)


def search(page, words):
    page.run("const s = document.getElementById('search'); s.focus(); s.value = ''", "")
    page.press("/") if page.run("return document.activeElement.id !== 'search'") else None
    page.press(*words)


def test_it_opens_with_the_graph_the_source_and_a_legend(page):
    assert page.run("return document.documentElement.dataset.ready") == "yes"
    assert text(page, "h1") == HOSTILE
    assert text(page, "#inspector h2") == "declared"
    page.click("[data-do=fit]")
    assert count(page, "#scene .node") > 20
    assert count(page, ".legend li") == 11
    assert count(page, ".line") == int(page.run("return document.getElementById('source').dataset.count"))
    assert count(page, "img") == 0


def test_a_click_tells_all_of_a_node(page):
    page.click(item(key_of(page, "h: f32")))
    assert text(page, "#inspector h2") == "h"
    told = text(page, "#inspector")
    for words in [
        "f32[batch, 5]",
        "h = relu(",
        "test_explore_browser.py:",
        "h = gc.relu(x @ w1)",
        "Group",
        "hidden",
        "∂loss/∂h = ",
        "flops",
        "buffer",
    ]:
        assert words in told
    assert "maximum" in text(page, ".line.current")
    assert count(page, ".node.selected") == 1
    page.click("[data-do=fit]")
    assert count(page, ".node.path") >= 3
    assert count(page, ".node.back") >= 3
    assert "h, relu, f32[batch, 5]" in text(page, "#status")
    page.press("Escape")
    assert count(page, ".selected") == 0
    assert text(page, "#inspector h2") == "declared"


def test_a_line_of_source_leads_to_its_node_and_back(page):
    line = page.run("return [...document.querySelectorAll('.line.linked')].find(l => l.textContent.includes('maximum')).id")
    page.run("document.getElementById(arguments[0]).scrollIntoView({block: 'center'})", line)
    page.click(f"#{line}")
    assert text(page, "#inspector h2") == "h"
    assert page.run("return document.getElementById('pass').value == document.getElementById('pass').max")
    page.click("#inspector .emitted button")
    assert page.run("return document.querySelector('.line.current').id") == line


def test_the_search_finds_and_goes_there(page):
    search(page, "relu")
    assert page.run("return document.getElementById('results').hidden") is False
    assert text(page, "#results [role=option]").startswith("h relu")
    assert count(page, ".hit") >= 1
    page.press("Down", "Enter")
    assert text(page, "#inspector h2") == "h"
    assert page.run("return document.activeElement.id") == "graph"
    assert page.run("return document.getElementById('results').hidden") is True
    search(page, "nothing is called so")
    assert text(page, "#results") == "nothing found in this pass"
    page.press("Escape")
    assert page.run("return document.getElementById('search').value") == ""


def test_groups_fold_by_mouse_and_by_keys(page):
    page.click("[data-do=fit]")
    nodes = count(page, "#scene .node")
    frame = key_of(page, "hidden")
    page.click(f".frame{item(frame)} .head .handle")
    page.press("0")
    assert count(page, "#scene .node") < nodes
    assert count(page, f".group{item(frame)}") == 1
    page.press("Enter", "0")
    assert count(page, "#scene .node") == nodes
    page.press("Enter")
    page.click(f".group{item(frame)}", times=2)
    page.press("0")
    assert count(page, "#scene .node") == nodes
    page.click("[data-do=fold]")
    assert count(page, "#scene .frame") == 0
    assert count(page, "#scene .group") >= 4
    page.click("[data-do=unfold]")
    page.click("[data-do=fit]")
    assert count(page, "#scene .frame") >= 4


def test_the_slider_goes_through_the_passes(page):
    last = int(page.run("return document.getElementById('pass').max"))
    assert count(page, "#stops button") == last + 1
    page.click(item(key_of(page, "h: f32")))
    titles = []
    for number in range(last + 1):
        pass_to(page, number)
        titles.append(text(page, "#pass-text"))
        assert text(page, "#inspector h2") == "h"
        assert count(page, ".node.selected") == 1
    assert titles[0].startswith("declared: ")
    assert "lowered" in titles[-1]
    page.press("Escape")
    page.click("#stops li:nth-child(2) button")
    assert text(page, "#inspector h2") == "simplify"
    assert count(page, ".changed") >= 1
    assert "Rules that fired" in text(page, "#inspector")
    page.click("#inspector details summary")
    page.click("#inspector details .ref")
    assert "Rules" in text(page, "#inspector")
    page.run("document.getElementById('graph').focus()")
    page.press("]")
    assert page.run("return document.getElementById('pass').value") in ("1", "2")


def test_the_keys_walk_along_the_edges(page):
    page.click(item(key_of(page, "h: f32")))
    page.press("Up")
    assert text(page, "#inspector h2") == "t1"
    page.press("Down")
    assert text(page, "#inspector h2") == "h"
    page.press("f")
    assert text(page, "#inspector h2") == "hidden"
    page.press("?")
    assert page.run("return document.getElementById('help').open") is True
    page.press("Escape")
    assert page.run("return document.getElementById('help').open") is False


def test_everything_is_reached_by_tab(page):
    page.run("document.body.focus()")
    seen = []
    for _ in range(60):
        page.press("Tab")
        seen.append(page.run("const a = document.activeElement; return a.id || a.dataset.do || a.getAttribute('aria-label') || a.tagName"))
        if "SUMMARY" in seen:
            break
    assert seen[:8] == ["search", "out", "fit", "in", "fold", "unfold", "help", "pass"]
    assert {"graph", "Width of the side", "Height of the inspector", "source", "SUMMARY"} <= set(seen)
    outline = page.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"


def test_memory_over_time(page):
    page.run("document.getElementById('memory').open = true")
    assert count(page, "#timeline rect") >= 5
    page.run("const s = document.getElementById('step'); s.value = 2; s.dispatchEvent(new Event('input'))")
    assert text(page, "#step-text").startswith("step 2 of ")
    rows = count(page, "#alive tr")
    assert rows == count(page, "#timeline .alive") >= 1
    page.click("#alive button")
    assert text(page, "#inspector h2") == text(page, "#alive button") or count(page, "#timeline .chosen") == 1
    page.click("#timeline rect")
    assert count(page, "#timeline .chosen") == 1


def test_drag_and_wheel_move_the_graph(page):
    where = "return document.getElementById('scene').getAttribute('transform')"
    before = page.run(where)
    wheel = """
        const g = document.getElementById('graph'), r = g.getBoundingClientRect();
        g.dispatchEvent(new WheelEvent('wheel', {deltaY: -200, clientX: r.x + 50, clientY: r.y + 50, cancelable: true}));
        requestAnimationFrame(() => setTimeout(() => done(document.getElementById('scene').getAttribute('transform')), 0))"""
    assert page.wait(wheel) != before
    page.press("0")
    page.click("[data-do=fit]")


@pytest.mark.parametrize("dark", [False, True])
def test_light_and_dark(page, dark):
    page.dark(dark)
    colour = page.run("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, colour[4:-1].split(","))) < 384) is dark
    page.dark(False)


def test_many_nodes_open_and_are_searched_quickly(session, pages):
    spans = []
    for _ in range(3):
        start = time.perf_counter()
        session.open(pages / "large.html")
        assert session.run("return document.documentElement.dataset.ready") == "yes"
        spans.append(time.perf_counter() - start)
    assert min(spans) < 3
    assert 1 <= count(session, "#scene .group") <= 100
    query = """
        const s = document.getElementById('search'), start = performance.now();
        s.value = arguments[0]; s.dispatchEvent(new Event('input', {bubbles: true}));
        requestAnimationFrame(() => setTimeout(() => done([performance.now() - start, document.querySelector('.count').textContent]), 0))"""
    found = [session.wait(query, words) for words in ("tanh", "t4321", "exp block3", "t12", "block")]
    assert [told for _, told in found] == ["1666 nodes", "1 node", "83 nodes", "111 nodes", "4999 nodes"]
    assert statistics.median(taken for taken, _ in found) < 100
    search(session, "t4321")
    session.press("Enter")
    assert text(session, "#inspector h2") == "t4321"
    session.click("[data-do=unfold]")
    assert statistics.median(session.wait(query, words)[0] for words in ("tanh", "t4321", "t12")) < 100
    assert session.console() == []
