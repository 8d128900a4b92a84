#include "mcmc/sample.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <utility>

#include "mcmc/gibbs.hpp"
#include "mcmc/hmc.hpp"
#include "mcmc/metropolis.hpp"
#include "mcmc/start.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// A draw from the Gaussian of the whitening, tightened until the density there is finite.
void draw_start(PosteriorDensity& density, const Whitening& whitening, Start& start) {
  std::vector<double> z(whitening.dimension()), y(whitening.dimension());
  double spread = 1.0;
  for (int attempt = 0; attempt < 20; ++attempt, spread *= 0.7) {
    for (double& x : z) x = attempt + 1 < 20 ? spread * normal(start.stream) : 0.0;
    whitening.to_coordinates(z.data(), y.data());
    if (std::isfinite(density.value(y.data(), nullptr))) break;
  }
  start.log_alpha = density.parameters(y.data(), start.log_beta.data());
}

void prepare_fixed(PosteriorDensity& density, Preparation& preparation, std::vector<Start>& starts, TimedPoll& poll) {
  preparation.regions.push_back(region_of_fixed_alpha(density, poll));
  for (Start& start : starts) draw_start(density, preparation.regions[0].whitening, start);
}

// Around the mode, wider than the posterior there, where the prior allows it.
void draw_concentration(const AlphaPrior& prior, const ConcentrationScale& scale, Start& start) {
  start.log_concentration = scale.log_concentration + scale.width * normal(start.stream);
  if (!std::isfinite(prior.log_density(start.log_concentration))) start.log_concentration = scale.log_concentration;
}

std::unique_ptr<Chain> make_chain(SamplerKind kind, const SufficientStatistics& statistics, const ModelView& model,
                                  const Preparation& preparation, const Start& start) {
  switch (kind) {
    case SamplerKind::hmc: return std::make_unique<Hmc>(statistics, model, preparation, start);
    case SamplerKind::gibbs: return std::make_unique<Gibbs>(statistics, model, preparation, start);
    case SamplerKind::metropolis: return std::make_unique<Metropolis>(statistics, model, preparation, start);
  }
  throw std::invalid_argument("unknown sampler");
}

}  // namespace

void sample(const std::vector<const SufficientStatistics*>& datasets, const ModelView& model,
            const SamplerOptions& options, const SampleArrays& out, const std::function<void(double)>& poll) {
  const std::size_t n_chains = options.n_chains;
  const std::size_t n_draws = options.n_draws;
  const Poll poll_before = [&] {
    if (poll) poll(0.0);
  };
  TimedPoll timed_poll(poll_before);
  std::vector<Preparation> prepared(datasets.size());
  // Where the concentration of beta is unknown, the chains of each dataset start from another one.
  std::vector<ModelView> models(model.beta.concentration ? datasets.size() : 1, model);
  const auto model_of = [&](std::size_t b) -> const ModelView& { return models[models.size() == 1 ? 0 : b]; };
  std::vector<std::vector<Start>> starts(datasets.size());
  parallel_for(
      datasets.size(), 1, options.n_threads,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t b = begin; b < end; ++b) {
          const std::size_t n_categories = datasets[b]->n_categories();
          if (model.beta.concentration) {
            prepared[b].concentration = concentration_scale(*datasets[b], *model.beta.concentration);
            const double c = concentration_of(prepared[b].concentration.log_concentration);
            std::fill(models[b].beta.values.begin(), models[b].beta.values.end(), c);
          }
          PosteriorDensity density(*datasets[b], model_of(b));
          for (std::size_t c = 0; c < n_chains; ++c) {
            starts[b].push_back({Stream(options.key, Site::chain, b, c), 0.0, std::vector<double>(n_categories)});
          }
          if (density.alpha_fixed()) {
            prepare_fixed(density, prepared[b], starts[b], timed_poll);
          } else {
            Profile profile(*datasets[b], model_of(b), timed_poll);
            for (std::size_t c = 0; c < n_chains; ++c) {
              Start& start = starts[b][c];
              start.log_alpha = profile.draw_start(c, n_chains, start.stream, start.log_beta.data());
            }
            prepared[b].regions = profile.regions();
            if (profile.has_proposal()) prepared[b].jumps.emplace(std::move(profile));
          }
          out.n_modes[b] = static_cast<std::int32_t>(prepared[b].regions.size());
          if (model.beta.concentration) {
            for (Start& start : starts[b]) {
              draw_concentration(*model.beta.concentration, prepared[b].concentration, start);
            }
          }
          if (options.kinds[b] == SamplerKind::gibbs || model.beta.concentration)
            prepared[b].tables = std::make_unique<TableCounts>(*datasets[b]);
          if (options.start_log_alpha == nullptr) continue;
          std::vector<double> y(density.dimension());
          for (std::size_t c = 0; c < n_chains; ++c) {
            const std::size_t at = b * n_chains + c;
            const double* log_beta = options.start_log_beta + at * n_categories;
            density.coordinates(options.start_log_alpha[at], log_beta, y.data());
            if (!std::isfinite(density.value(y.data(), nullptr))) continue;
            starts[b][c].log_alpha = options.start_log_alpha[at];
            starts[b][c].log_beta.assign(log_beta, log_beta + n_categories);
          }
        }
      },
      [&] { timed_poll(); });

  const auto start_chain = [&](std::size_t job, TimedPoll&) {
    const std::size_t b = job / n_chains;
    return [&, job, n_categories = datasets[b]->n_categories(),
            chain = make_chain(options.kinds[b], *datasets[b], model_of(b), prepared[b], starts[b][job % n_chains])](
               std::size_t i) {
      if (i < options.n_warmup) return chain->warm_up(i, options.n_warmup);
      const StepStatistics step = chain->step();
      const std::size_t at = job * n_draws + i - options.n_warmup;
      out.log_alpha[at] = chain->parameters(out.log_beta + at * n_categories);
      if (out.log_concentration != nullptr) out.log_concentration[at] = chain->log_concentration();
      out.log_density[at] = step.log_density;
      out.acceptance[at] = step.acceptance;
      out.step_size[at] = step.step_size;
      out.n_evaluations[at] = step.n_evaluations;
      out.diverging[at] = step.diverging;
    };
  };
  run_chains(datasets.size() * n_chains, options.n_warmup + n_draws, options.n_threads, start_chain, poll);
}

}  // namespace hbm_fast
