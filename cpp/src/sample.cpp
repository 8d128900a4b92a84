#include "hbm_fast/sample.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>

#include "hbm_fast/gibbs.hpp"
#include "hbm_fast/hmc.hpp"
#include "hbm_fast/laplace.hpp"
#include "hbm_fast/metropolis.hpp"

namespace hbm_fast {
namespace {

// What the chains of one dataset share.
struct Prepared {
  Whitening start;
  std::unique_ptr<TableCounts> tables;  // Gibbs alone needs them
};

std::unique_ptr<Chain> make_chain(SamplerKind kind, const SufficientStatistics& statistics, const ModelView& model,
                                  const Prepared& prepared, Stream stream) {
  switch (kind) {
    case SamplerKind::hmc: return std::make_unique<Hmc>(statistics, model, prepared.start, stream);
    case SamplerKind::gibbs: return std::make_unique<Gibbs>(statistics, *prepared.tables, model, prepared.start, stream);
    case SamplerKind::metropolis: return std::make_unique<Metropolis>(statistics, model, prepared.start, stream);
  }
  throw std::invalid_argument("unknown sampler");
}

}  // namespace

void sample(const std::vector<const SufficientStatistics*>& datasets, const ModelView& model, const SamplerOptions& options,
            const SampleArrays& out, const std::function<void(double)>& poll) {
  const std::size_t n_chains = options.n_chains;
  const std::size_t n_draws = options.n_draws;
  const std::size_t n_jobs = datasets.size() * n_chains;
  const double n_iterations = static_cast<double>(n_jobs) * static_cast<double>(options.n_warmup + n_draws);
  std::atomic<std::size_t> done{0};
  std::atomic<bool> stop{false};
  const auto caller = std::this_thread::get_id();

  // parallel_for polls between chunks; a long chain polls by itself, and the chains of other threads stop quietly.
  const Poll poll_or_stop = [&] {
    try {
      poll(static_cast<double>(done) / n_iterations);
    } catch (...) {
      stop = true;
      throw;
    }
  };
  auto last = std::chrono::steady_clock::now();  // touched by the caller's thread alone
  const auto keep_on = [&](std::size_t iterations) {
    done += iterations;
    if (stop) return false;
    if (std::this_thread::get_id() == caller) {
      const auto now = std::chrono::steady_clock::now();
      if (now - last > std::chrono::milliseconds(50)) {
        last = now;
        poll_or_stop();
      }
    }
    return true;
  };

  std::vector<Prepared> prepared(datasets.size());
  parallel_for(datasets.size(), 1, options.n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t b = begin; b < end && !stop; ++b) {
      PosteriorDensity density(*datasets[b], model);
      prepared[b].start = laplace(density);
      if (options.kind == SamplerKind::gibbs) prepared[b].tables = std::make_unique<TableCounts>(*datasets[b]);
    }
  }, poll_or_stop);

  parallel_for(n_jobs, 1, options.n_threads, [&](std::size_t begin, std::size_t end) {
    for (std::size_t job = begin; job < end; ++job) {
      const std::size_t b = job / n_chains;
      const std::size_t n_categories = datasets[b]->n_categories();
      const auto chain = make_chain(options.kind, *datasets[b], model, prepared[b],
                                    Stream(options.key, Site::chain, b, job % n_chains));
      if (options.start_log_alpha != nullptr) {
        chain->start_at(options.start_log_alpha[job], options.start_log_beta + job * n_categories);
      }
      // a look at the clock after 32 iterations, or after fewer where they take long
      std::size_t block = 1;
      std::size_t since = 0;
      auto looked = std::chrono::steady_clock::now();
      const auto go_on = [&] {
        if (since++ < block) return true;
        const auto now = std::chrono::steady_clock::now();
        block = now - looked < std::chrono::milliseconds(1) ? std::min<std::size_t>(2 * block, 32) : std::max<std::size_t>(block / 2, 1);
        looked = now;
        return keep_on(std::exchange(since, 1) - 1);
      };
      for (std::size_t i = 0; i < options.n_warmup; ++i) {
        if (!go_on()) return;
        chain->warm_up(i, options.n_warmup);
      }
      for (std::size_t d = 0; d < n_draws; ++d) {
        if (!go_on()) return;
        const StepStatistics step = chain->step();
        const std::size_t at = job * n_draws + d;
        out.log_alpha[at] = chain->parameters(out.log_beta + at * n_categories);
        out.log_density[at] = step.log_density;
        out.acceptance[at] = step.acceptance;
        out.step_size[at] = step.step_size;
        out.n_evaluations[at] = step.n_evaluations;
        out.diverging[at] = step.diverging;
      }
    }
  }, poll_or_stop);
}

}  // namespace hbm_fast
