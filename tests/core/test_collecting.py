"""The collector is off while a graph grows, and afterwards as it was."""

import gc as collector

import pytest

from graphc.core import collecting_paused


@pytest.fixture(autouse=True)
def _as_it_was():
    before = collector.isenabled()
    yield
    (collector.enable if before else collector.disable)()


def test_blocks_may_be_nested():
    collector.enable()
    with collecting_paused():
        assert not collector.isenabled()
        with collecting_paused():
            assert not collector.isenabled()
        assert not collector.isenabled()
    assert collector.isenabled()


def test_an_error_brings_it_back():
    collector.enable()
    with pytest.raises(KeyError), collecting_paused():
        raise KeyError
    assert collector.isenabled()


def test_who_has_put_it_off_finds_it_off():
    collector.disable()
    with collecting_paused():
        pass
    assert not collector.isenabled()
