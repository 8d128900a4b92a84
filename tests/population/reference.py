"""Random-walk Metropolis of the whole joint density, written as the model stands: slow, and obviously right."""

import numpy as np
from scipy import special, stats


def log_joint(parameters, counts, model):
    """log density of mu, log tau, log kappa, logit m_1, log alpha_b, logit beta_b1 (S, 4 + 2 B), K = 2, and the counts."""
    n = len(counts)
    mu, log_tau, log_kappa, logit_m = parameters[:, :4].T
    log_alpha, logit = parameters[:, 4 : 4 + n], parameters[:, 4 + n :]
    tau, kappa, m, alpha, beta = np.exp(log_tau), np.exp(log_kappa), special.expit(logit_m), np.exp(log_alpha), special.expit(logit)
    value = stats.norm.logpdf(mu, model.mu.mu, model.mu.sd)
    value += stats.halfnorm.logpdf(tau, scale=model.tau.scale) + log_tau
    value += stats.norm.logpdf(log_kappa, model.kappa.mu, model.kappa.sigma)
    value += np.log(m) + np.log1p(-m)
    value += stats.norm.logpdf(log_alpha, mu[:, None], tau[:, None]).sum(axis=1)
    value += (stats.beta.logpdf(beta, (kappa * m)[:, None], (kappa * (1 - m))[:, None]) + np.log(beta * (1 - beta))).sum(axis=1)
    for b, table in enumerate(counts):
        a = np.stack([alpha[:, b] * beta[:, b], alpha[:, b] * (1 - beta[:, b])], axis=1)[:, None, :]
        total, x = alpha[:, b][:, None], np.asarray(table)
        rising = special.gammaln(a + x) - special.gammaln(a)
        value += (rising.sum(-1) - special.gammaln(total + x.sum(-1)) + special.gammaln(total)).sum(-1)
    return value


def draws(counts, model, n_chains, n_steps, seed):
    """The last half of the steps of chains that run side by side: mu, log tau, log kappa, logit m_1, log alpha_1, logit beta_11."""
    rng = np.random.default_rng(seed)
    size = 4 + 2 * len(counts)
    state = rng.normal(0, 0.5, (n_chains, size))
    current = log_joint(state, counts, model)
    kept = []
    for step in range(n_steps):
        scale = np.exp(rng.uniform(np.log(0.05), np.log(1.5), (n_chains, 1)))
        chosen = rng.random((n_chains, size)) < 0.4
        proposal = state + scale * chosen * rng.standard_normal((n_chains, size))
        value = log_joint(proposal, counts, model)
        accepted = np.log(rng.random(n_chains)) < value - current
        state[accepted], current[accepted] = proposal[accepted], value[accepted]
        if step >= n_steps // 2 and step % 10 == 0:
            kept.append(state[:, [0, 1, 2, 3, 4, 4 + len(counts)]].copy())
    return np.stack(kept, axis=1)
