"""The wafer's figures are those of the performance model, put in words."""

import pytest

from ouroboros.sw.report.wafer import wafer_estimate


@pytest.mark.long
def test_figures_come_from_the_model():
    found = wafer_estimate()
    values = found["values"]
    figures = {row["name"]: row["value"].replace(",", "") for row in found["figures"]}
    assert float(figures["prefill"]) == round(values["prefill_tokens_per_s"])
    assert float(figures["decode, all sequences together"]) == round(values["decode_tokens_per_s"])
    assert int(figures["room for KV"]) == values["kv_tokens"]
    assert len(found["assumptions"]) == len(values["assumptions"]) > 5
    assert all(row["source"] for row in found["assumptions"])
    assert [row["cycles"] for row in found["stages"]] == [
        stage["stage_time"] for stage in values["substages"]]
    assert f"context of {values['context']:,}" in found["lead"]
