"""Fitted constants as a file of values."""

from dataclasses import replace

import pytest

from ouroboros.sw.noc.errors import NocError
from ouroboros.sw.noc.load import fit as fits


def test_own_fits_of_an_installation(monkeypatch, tmp_path):
    """They lie in the user's folder, win over the shipped ones, and leave those alone."""
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path))
    monkeypatch.setattr(fits, "checkout", lambda: None)
    shipped, before = fits.FITS.read_text(), fits.read_fit(2, 4)
    new = replace(before, depth=31, blocking=0.5)
    fits.write_fit(new)
    assert fits.read_fit(2, 31) == new
    assert fits.read_fit(2, 4) == before
    assert fits.own_fits().is_relative_to(tmp_path)
    assert fits.FITS.read_text() == shipped
    monkeypatch.setenv("OUROBOROS_CACHE", str(tmp_path / "another"))
    with pytest.raises(NocError, match="must be fitted for 2 channels of 31 flits"):
        fits.read_fit(2, 31)
