"""Beta-binomial regression with random intercepts beside glmmTMB, the R package whose Laplace approximation it is."""

import shutil
import subprocess

import numpy as np
import pytest

import hbm_fast as hbm

R_FIT = """
library(glmmTMB)
d <- read.csv("table.csv")
fit <- glmmTMB(cbind(y1, y2) ~ x + (1 | subject), data = d, family = betabinomial(),
               control = glmmTMBControl(optCtrl = list(rel.tol = 1e-14, x.tol = 1e-12), optimizer = nlminb))
cat(sprintf("%.12g", c(logLik(fit), fixef(fit)$cond, fixef(fit)$disp, attr(VarCorr(fit)$cond$subject, "stddev"),
                       sqrt(diag(vcov(fit)$cond)))))
"""


def has_glmmtmb():
    rscript = shutil.which("Rscript")
    return rscript and subprocess.run([rscript, "-e", "library(glmmTMB)"], capture_output=True).returncode == 0


@pytest.mark.peers
@pytest.mark.parametrize("key", [3, 4, 5])
def test_beta_binomial_regression_equals_glmmtmb(key, tmp_path):
    if not has_glmmtmb():
        pytest.skip("glmmTMB is not installed in R")
    x = np.random.default_rng(key).normal(size=60)
    subject = np.repeat(np.arange(10), 6)
    model = hbm.RegressionModel(2, random_intercept="subject")
    given = {"design": np.column_stack([np.ones(60), x]), "data": {"subject": subject}}
    sims = hbm.simulate(
        model,
        1,
        totals=(10, 40),
        random_scale=0.7,
        coefficients=[[0.3, 0.0], [0.6, 0.0]],
        precision_coefficients=[2.5],
        rng=key,
        **given,
    )
    counts = sims.counts[0].astype(int)
    np.savetxt(
        tmp_path / "table.csv",
        np.column_stack([counts, x, subject]),
        delimiter=",",
        header="y1,y2,x,subject",
        comments="",
        fmt="%.17g",
    )
    run = subprocess.run(["Rscript", "-e", R_FIT], cwd=tmp_path, capture_output=True, text=True, check=True)
    value, intercept, slope, log_precision, scale, *errors = map(float, run.stdout.split())
    fit = hbm.fit(counts, model, **given)
    assert fit.log_likelihood == pytest.approx(value, abs=1e-5)
    np.testing.assert_allclose(fit.coefficients[:, 0], [intercept, slope], atol=1e-5)
    np.testing.assert_allclose(fit.precision_coefficients, [log_precision], atol=1e-5)
    assert fit.random_scale[0] == pytest.approx(scale, abs=1e-5)
    np.testing.assert_allclose(fit.standard_error[:, 0], errors, rtol=1e-3)
