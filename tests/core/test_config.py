"""show_config, and the instruction-set level that it reports."""

import pytest

import hbm_fast as hbm
import interpreter


@pytest.mark.parametrize("level", ["v2", "v3", "v4"])
def test_the_level_can_be_capped(level):
    if hbm.show_config()["isa"] == "portable":
        pytest.skip("one level only on this machine")
    result = interpreter.run("import hbm_fast; print(hbm_fast.show_config()['isa'])", HBM_FAST_ISA=level)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() <= level


def test_an_unknown_level_is_refused():
    if hbm.show_config()["isa"] == "portable":
        pytest.skip("one level only on this machine")
    result = interpreter.run("import hbm_fast; hbm_fast.show_config()", HBM_FAST_ISA="avx9")
    assert result.returncode != 0
    assert "HBM_FAST_ISA must be v2, v3 or v4; got avx9" in result.stderr
