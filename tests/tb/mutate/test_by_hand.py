"""Every change made by hand fails the test that is named beside it; what is named is there."""

import pytest

from ouroboros.tb.mutate.by_hand import ROOT, ByHandError, Change, is_noticed, load_changes

CHANGES = load_changes()


def test_names_and_tests_are_there():
    assert len({one.name for one in CHANGES}) == len(CHANGES)
    for one in CHANGES:
        assert (ROOT / one.test.partition("::")[0]).is_file(), one.name


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES, ids=lambda one: one.name)
def test_is_noticed(change):
    assert is_noticed(change)


@pytest.mark.long
def test_what_changes_nothing_is_not_noticed():
    """A comment: the test passes, so that the others fail for what was changed."""
    one = Change(name="a comment", file="hw/lib/queue.py", old="from amaranth import",
                 new="# nothing\nfrom amaranth import", test="tests/hw/lib/test_queue.py")
    assert not is_noticed(one)


@pytest.mark.long
def test_a_test_that_is_not_there_is_no_kill():
    one = Change(name="no test", file="hw/lib/queue.py", old="from amaranth import",
                 new="from amaranth import", test="tests/hw/lib/test_nothing.py")
    with pytest.raises(ByHandError, match="must run"):
        is_noticed(one)


def test_texts_stand_once(tmp_path):
    path = tmp_path / "some.toml"
    path.write_text('[[change]]\nname = "x"\nfile = "hw/lib/queue.py"\nold = "no such text"\n'
                    'new = ""\ntest = "t"\n')
    with pytest.raises(ByHandError, match="'x': old must stand once in hw/lib"):
        load_changes(path)
