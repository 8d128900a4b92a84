#include "mcmc/population.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "core/limits.hpp"
#include "core/parallel.hpp"
#include "mcmc/crp_tables.hpp"
#include "mcmc/dirichlet_block.hpp"
#include "mcmc/hamiltonian.hpp"
#include "mcmc/laplace.hpp"
#include "mcmc/level_terms.hpp"
#include "mcmc/posterior_density.hpp"
#include "mcmc/slice.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

constexpr std::size_t datasets_per_chunk = 64;  // of the loops that threads share

// The first interval of a slice step: in warm-up it approaches a multiple of the mean distance of a step, at which a
// step takes the fewest evaluations.
class SliceWidth {
 public:
  explicit SliceWidth(double first) : width_(first) {}
  double value() const { return width_; }
  void observe(double distance) { width_ = std::clamp(0.9 * width_ + 0.1 * 2.5 * distance, 0.01, 8.0); }

 private:
  double width_;
};

// log kappa and log m given the table counts of the datasets.
class Upper {
 public:
  Upper(const ModelView& model, double log_kappa, std::vector<double> log_m)
      : model_(model),
        coordinate_(AlphaCoordinate::around(model.alpha, log_kappa)),
        log_kappa_(log_kappa),
        log_m_(std::move(log_m)),
        adaptation_(hamiltonian_adaptation(log_m_.size())),
        step_size_(adaptation_.step()) {}

  double log_kappa() const { return log_kappa_; }
  const std::vector<double>& log_m() const { return log_m_; }
  const StepStatistics& last_step() const { return last_step_; }

  // One trajectory; in warm-up the coordinates are those of the posterior at some sweeps, and the step size adapts.
  void draw(const SufficientStatistics& tables, Stream& stream, bool reshape, TimedPoll& poll) {
    PosteriorDensity density(tables, model_);
    density.use(coordinate_);
    std::vector<double> y(density.dimension());
    density.coordinates(log_kappa_, log_m_.data(), y.data());
    if (density.alpha_fixed()) {  // logsumexp(y) is auxiliary
      const double v = normal(stream);
      for (double& value : y) value += v;
    }
    if (reshape) {
      std::vector<double> mode = y;
      climb(density, mode, poll);
      whitening_ = whitening_at(density, mode.data());
    }
    trajectory(density, stream, y);
    log_kappa_ = density.parameters(y.data(), log_m_.data());
  }

  void adapt() {
    adaptation_.add(last_step_.acceptance);
    step_size_ = adaptation_.step();
  }
  void freeze() { step_size_ = adaptation_.average(); }

 private:
  void trajectory(PosteriorDensity& density, Stream& stream, std::vector<double>& y) {
    const std::size_t dimension = y.size();
    std::vector<double> z(dimension), momentum(dimension), gradient(dimension), new_y = y;
    whitening_.from_coordinates(y.data(), z.data());
    const double start = density.value(y.data(), gradient.data());
    whitening_.pull_back(gradient.data(), gradient.data());
    for (double& p : momentum) p = normal(stream);
    const double energy = 0.5 * dot(momentum, momentum) - start;
    const auto [n_steps, epsilon] = draw_leapfrog(stream, step_size_);
    double value = start;
    for (int i = 0; i < n_steps; ++i) {
      for (std::size_t k = 0; k < dimension; ++k) {
        momentum[k] += 0.5 * epsilon * gradient[k];
        z[k] += epsilon * momentum[k];
      }
      whitening_.to_coordinates(z.data(), new_y.data());
      value = density.value(new_y.data(), gradient.data());
      if (!(std::abs(value - start) < divergence)) break;
      whitening_.pull_back(gradient.data(), gradient.data());
      for (std::size_t k = 0; k < dimension; ++k) momentum[k] += 0.5 * epsilon * gradient[k];
    }
    if (accepts(stream, 0.5 * dot(momentum, momentum) - value - energy, last_step_)) y = new_y;
  }

  const ModelView& model_;
  AlphaCoordinate coordinate_;
  double log_kappa_;
  std::vector<double> log_m_;
  Whitening whitening_;
  DualAveraging adaptation_;
  double step_size_;
  StepStatistics last_step_;
};

// What the chains of one dataset share.
struct DatasetTerms {
  explicit DatasetTerms(const SufficientStatistics& given)
      : statistics(given), levels(given), is_empty(given.total_value_weights().values.empty()) {
    if (!levels.draws_tables()) tables = std::make_unique<TableCounts>(given);
  }

  const SufficientStatistics& statistics;
  LevelTerms levels;
  std::unique_ptr<TableCounts> tables;  // where `levels` does not draw them
  bool is_empty;
};

// One dataset of one chain.
struct Member {
  Member(const DatasetTerms& given, const ModelView& model, Stream own)
      : terms(given), stream(own), log_beta(given.statistics.n_categories()), beta(log_beta.size()) {
    if (!terms.levels.usable()) density = std::make_unique<PosteriorDensity>(given.statistics, model);
  }

  // Of the dataset at its beta, up to a constant.
  double log_likelihood(double at) {
    if (terms.is_empty) return 0.0;
    if (density) return density->log_likelihood(at, log_beta.data(), nullptr);
    return constant + terms.levels.log_likelihood(at, beta.data()).value;
  }

  // The same with its derivatives. Where counts are large the curvature is a difference of slopes: proposals use it, no
  // density does.
  Expansion expand(double at) {
    if (terms.is_empty) return {};
    if (!density) {
      Expansion sum = terms.levels.log_likelihood(at, beta.data());
      sum.value += constant;
      return sum;
    }
    constexpr double step = 1e-3;
    slopes.resize(log_beta.size());
    const auto slope = [&] { return std::accumulate(slopes.begin(), slopes.end(), 0.0); };
    density->log_likelihood(at + step, log_beta.data(), slopes.data());
    const double next = slope();
    const double value = density->log_likelihood(at, log_beta.data(), slopes.data());
    return {value, slope(), (next - slope()) / step};
  }

  // Takes log beta ~ Dirichlet(shape), and what the likelihood makes of it.
  void draw_log_beta(const std::vector<double>& shape) {
    log_dirichlet_block(stream, shape.data(), shape.size(), log_beta.data());
    if (terms.is_empty || density) return;
    for (std::size_t k = 0; k < beta.size(); ++k) beta[k] = std::exp(log_beta[k]);
    constant = terms.levels.constant(log_beta.data());
  }

  const DatasetTerms& terms;
  std::unique_ptr<PosteriorDensity> density;  // where counts are large
  Stream stream;
  std::vector<double> log_beta, beta, slopes;
  double constant = 0.0;  // of the log-likelihood at this beta
  SliceWidth width{2.0};
};

// The normal approximation of a log density at a point: its mean is a Newton step away.
class NewtonProposal {
 public:
  // `precision` is minus the second derivative, made positive.
  NewtonProposal(double at, double slope, double precision)
      : mean_(at + std::clamp(slope / precision, -farthest, farthest)), root_(std::sqrt(precision)) {}

  double draw(Stream& stream) const { return mean_ + normal(stream) / root_; }
  double log_density(double at) const {
    const double z = root_ * (at - mean_);
    return std::log(root_) - 0.5 * z * z;
  }

 private:
  static constexpr double farthest = 3.0;  // a step in log alpha
  double mean_, root_;
};

// Of mu and tau: a draw is correlated with the point before by minus this, so that means over the draws of a chain vary
// less (overrelaxation: Adler 1981, doi:10.1103/PhysRevD.23.2901).
constexpr double overrelaxation = 0.4;

// The same of two variables, overrelaxed.
class NewtonProposal2 {
 public:
  using Pair = std::array<double, 2>;

  // `precision`: minus the Hessian's (0, 0), (0, 1) and (1, 1), made positive definite here.
  NewtonProposal2(const Pair& at, const Pair& slope, const std::array<double, 3>& precision, const Pair& least) {
    const double first = std::max(precision[0], least[0]), second = std::max(precision[2], least[1]);
    const double most = 0.99 * std::sqrt(first * second);
    const double both = std::clamp(precision[1], -most, most);
    root_[0] = std::sqrt(first);
    root_[1] = both / root_[0];
    root_[2] = std::sqrt(second - root_[1] * root_[1]);
    const double z = slope[0] / root_[0];
    const Pair step = solve({z, (slope[1] - root_[1] * z) / root_[2]});
    for (std::size_t i = 0; i < 2; ++i) {
      mean_[i] = at[i] + (1.0 + overrelaxation) * std::clamp(step[i], -farthest, farthest);
    }
    for (double& root : root_) root /= std::sqrt(1.0 - overrelaxation * overrelaxation);
  }

  Pair draw(Stream& stream) const {
    const double first = normal(stream);
    const Pair step = solve({first, normal(stream)});
    return {mean_[0] + step[0], mean_[1] + step[1]};
  }
  double log_density(const Pair& at) const {
    const double x = at[0] - mean_[0], y = at[1] - mean_[1];
    const double first = root_[0] * x + root_[1] * y, second = root_[2] * y;
    return std::log(root_[0] * root_[2]) - 0.5 * (first * first + second * second);
  }

 private:
  static constexpr double farthest = 3.0;

  // x of transpose(L) x = z, where L, {{root[0], 0}, {root[1], root[2]}}, is the precision's Cholesky factor.
  Pair solve(const Pair& z) const {
    const double second = z[1] / root_[2];
    return {(z[0] - root_[1] * second) / root_[0], second};
  }

  std::array<double, 3> root_;
  Pair mean_;
};

// Inside the support of a prior of a positive number, near `wanted`.
double start_of(const AlphaPrior& prior, double wanted) {
  if (prior.kind == AlphaKind::fixed) return std::log(prior.a);
  if (!prior.bounded()) return wanted;
  const double low = std::log(prior.lower), high = std::log(prior.upper);
  return std::clamp(wanted, low + 0.1 * (high - low), high - 0.1 * (high - low));
}

double log_of(std::size_t n) { return std::log(static_cast<double>(n)); }

// The log-likelihood of all datasets at log alpha_b = mu + tau z_b, and what its derivatives are made of.
struct Sums {
  double value = 0.0, slope = 0.0, slope_z = 0.0, curvature = 0.0, curvature_z = 0.0, curvature_zz = 0.0;

  void add(const Expansion& at, double z) {
    value += at.value;
    slope += at.slope;
    slope_z += at.slope * z;
    curvature += at.curvature;
    curvature_z += at.curvature * z;
    curvature_zz += at.curvature * z * z;
  }
};

class PopulationChain {
 public:
  PopulationChain(const std::vector<DatasetTerms>& datasets, const PopulationPriors& priors, Key key, std::size_t chain,
                  int n_threads, TimedPoll& poll)
      : priors_(priors),
        n_categories_(priors.upper.beta.values.size()),
        n_threads_(n_threads),
        poll_(poll),
        stream_(key, Site::chain, datasets.size(), chain),
        upper_(priors.upper, start_of(priors.upper.alpha, log_of(n_categories_) + 0.5 * normal(stream_)),
               std::vector<double>(n_categories_, -log_of(n_categories_))) {
    const std::size_t n = datasets.size();
    members_.reserve(n);
    mu_ = priors.mean + normal(stream_);
    log_tau_ = start_of(priors.tau, 0.5 * normal(stream_));
    for (std::size_t b = 0; b < n; ++b) {
      Member& member = members_.emplace_back(datasets[b], priors.upper, Stream(key, Site::chain, b, chain));
      log_alpha_.push_back(mu_ + std::exp(std::min(log_tau_, 1.0)) * normal(member.stream));
      std::vector<double> shape(n_categories_);
      for (std::size_t k = 0; k < n_categories_; ++k) shape[k] = 0.5 + datasets[b].statistics.n_positive(k);
      member.draw_log_beta(shape);
      here_.push_back({.value = member.log_likelihood(log_alpha_[b])});
    }
    z_.resize(n);
    trial_.resize(n);
    concentration_.resize(n_categories_);
    tables_.resize(n * n_categories_);
    whole_tables_.resize(n * n_categories_);
  }

  void warm_up(std::size_t i, std::size_t n) {
    // the coordinates of (kappa, m) are made anew after 0, 8, 16, 32, ... sweeps
    adapting_ = true;
    sweep(i == 0 || (i >= 8 && (i & (i - 1)) == 0), i >= first_sweeps);
    upper_.adapt();
    adapting_ = false;
    if (i + 1 == n) upper_.freeze();
  }
  void step() { sweep(!shaped_, true); }

  double mu() const { return mu_; }
  double log_tau() const { return log_tau_; }
  const Upper& upper() const { return upper_; }
  double log_alpha(std::size_t b) const { return log_alpha_[b]; }
  const std::vector<double>& log_beta(std::size_t b) const { return members_[b].log_beta; }

 private:
  // Before each dataset has found its own alpha, tau near 0 may look best, from where a chain takes long to return.
  static constexpr std::size_t first_sweeps = 10;

  // One sweep in so many takes slice steps, which move from anywhere, in place of Newton proposals, which are faster.
  static constexpr std::size_t sweeps_by_slices = 4;

  void sweep(bool reshape, bool interweave) {
    shaped_ = true;
    centred();
    if (interweave) {
      const double tau = std::exp(log_tau_);
      for (std::size_t b = 0; b < members_.size(); ++b) z_[b] = (log_alpha_[b] - mu_) / tau;
      by_slices_ ? slice_population() : move_population();
      for (std::size_t b = 0; b < members_.size(); ++b) log_alpha_[b] = mu_ + std::exp(log_tau_) * z_[b];
    }
    for_members([&](std::size_t b) { draw_tables(b); });
    SufficientStatistics statistics(n_categories_);
    const auto k = static_cast<std::ptrdiff_t>(n_categories_);
    statistics.add({whole_tables_.data(), CountType::int64, members_.size(), n_categories_, k, 1});
    upper_.draw(statistics, stream_, reshape, poll_);
    for (std::size_t i = 0; i < n_categories_; ++i) {
      concentration_[i] = std::exp(std::clamp(upper_.log_kappa() + upper_.log_m()[i], -690.0, log_alpha_range));
    }
    by_slices_ = !interweave || n_sweeps_++ % sweeps_by_slices == 0;
    for_members([&](std::size_t b) {
      draw_log_beta(b);
      if (members_[b].terms.is_empty) {
        log_alpha_[b] = mu_ + std::exp(log_tau_) * normal(members_[b].stream);
      } else {
        by_slices_ ? slice_log_alpha(b) : move_log_alpha(b);
      }
    });
  }

  template <class Body>
  void for_members(const Body& body) {
    parallel_for(members_.size(), datasets_per_chunk, n_threads_, [&](std::size_t begin, std::size_t end) {
      poll_();
      for (std::size_t b = begin; b < end; ++b) body(b);
    });
  }

  void slice_log_alpha(std::size_t b) {
    Member& member = members_[b];
    const double tau = std::exp(log_tau_), before = log_alpha_[b];
    double first = 0.0, last = 0.0;
    bool is_first = true;
    const auto density = [&](double at) {
      last = member.log_likelihood(at);
      if (std::exchange(is_first, false)) first = last;
      const double z = (at - mu_) / tau;
      return last - 0.5 * z * z;
    };
    log_alpha_[b] = slice(member.stream, before, member.width.value(), density);
    here_[b].value = log_alpha_[b] == before ? first : last;
    if (adapting_) member.width.observe(std::abs(log_alpha_[b] - before));
  }

  void move_log_alpha(std::size_t b) {
    Member& member = members_[b];
    const double precision = std::exp(-2.0 * log_tau_);
    const auto proposal = [&](double at, const Expansion& sum) {
      return NewtonProposal(at, sum.slope - precision * (at - mu_),
                            precision - std::min(sum.curvature, 0.5 * precision));
    };
    const auto log_density = [&](double at, const Expansion& sum) {
      return sum.value - 0.5 * precision * (at - mu_) * (at - mu_);
    };
    const double before = log_alpha_[b];
    here_[b] = member.expand(before);
    const NewtonProposal forward = proposal(before, here_[b]);
    const double there = forward.draw(member.stream);
    const Expansion sum = member.expand(there);
    const double gain = log_density(there, sum) + proposal(there, sum).log_density(before) -
                        log_density(before, here_[b]) - forward.log_density(there);
    if (exponential(member.stream) > -gain) {
      log_alpha_[b] = there;
      here_[b] = sum;
    }
  }

  // mu and tau given log alpha_b; mu is integrated out for the step of tau.
  void centred() {
    const double n = static_cast<double>(members_.size());
    double mean = 0.0, squares = 0.0;
    for (const double x : log_alpha_) mean += x / n;
    for (const double x : log_alpha_) squares += (x - mean) * (x - mean);
    const auto of_mu = [&] {  // its mean and its standard deviation given log alpha_b and tau
      const double of_prior = 1.0 / (priors_.sd * priors_.sd),
                   of_data = n * std::exp(-2.0 * std::max(log_tau_, -300.0));
      const double precision = of_prior + of_data;
      return std::pair((of_prior * priors_.mean + of_data * mean) / precision, 1.0 / std::sqrt(precision));
    };
    const auto [old_center, old_spread] = of_mu();
    const double u = (mu_ - old_center) / old_spread;  // independent of tau given log alpha_b
    if (priors_.tau.kind != AlphaKind::fixed) {
      const auto density = [&](double log_tau) {
        const double variance = std::exp(2.0 * log_tau);
        const double spread = priors_.sd * priors_.sd + variance / n;
        const double away = mean - priors_.mean;
        return priors_.tau.log_density(log_tau) - (n - 1.0) * log_tau - 0.5 * squares / variance -
               0.5 * (std::log(spread) + away * away / spread);
      };
      log_tau_ = slice(stream_, log_tau_, std::min(3.0 / std::sqrt(n), 1.0), density);
    }
    const auto [center, spread] = of_mu();
    const double noise = std::sqrt(1.0 - overrelaxation * overrelaxation) * normal(stream_);
    mu_ = center + spread * (noise - overrelaxation * u);
  }

  // mu, then tau, given z_b.
  void slice_population() {
    double current = 0.0;
    for (const Expansion& here : here_) current += here.value;
    const double old_mu = mu_;
    const auto of_mu = [&](double mu) {
      const double away = (mu - priors_.mean) / priors_.sd;
      return (mu == old_mu ? current : log_likelihood(mu, log_tau_)) - 0.5 * away * away;
    };
    mu_ = slice(stream_, old_mu, mu_width_.value(), of_mu);
    if (mu_ != old_mu) current = sum_of_trial();
    if (adapting_) mu_width_.observe(std::abs(mu_ - old_mu));
    if (priors_.tau.kind != AlphaKind::fixed) {
      const double old = log_tau_;
      const auto of_tau = [&](double log_tau) {
        const double prior = priors_.tau.log_density(log_tau);
        if (!std::isfinite(prior)) return prior;
        return prior + (log_tau == old ? current : log_likelihood(mu_, log_tau));
      };
      log_tau_ = slice(stream_, old, tau_width_.value(), of_tau);
      if (adapting_) tau_width_.observe(std::abs(log_tau_ - old));
    }
  }

  // mu and tau given z_b in one step: in them the likelihood of a dataset is as near to normal as it is in log alpha. A
  // step to tau < 0 is one to |tau| with every z_b of the other sign, which has the same density.
  void move_population() {
    using Pair = NewtonProposal2::Pair;
    const bool fixed = priors_.tau.kind == AlphaKind::fixed;
    const double of_mu = 1.0 / (priors_.sd * priors_.sd);
    const auto at_members = [&](const std::vector<Expansion>& each) {
      Sums sums;
      for (std::size_t b = 0; b < each.size(); ++b) sums.add(each[b], z_[b]);
      return sums;
    };
    const auto prior_slope = [&](double tau) {  // of the log density of tau
      return fixed ? 0.0 : (priors_.tau.log_density_slope(std::log(std::abs(tau))) - 1.0) / tau;
    };
    const auto proposal = [&](const Pair& at, const Sums& sums) {
      const double size = std::abs(at[1]), step = 1e-3 * at[1];
      const Pair slope{sums.slope - of_mu * (at[0] - priors_.mean), fixed ? 0.0 : sums.slope_z + prior_slope(at[1])};
      const double bend = (prior_slope(at[1] - step) - prior_slope(at[1] + step)) / (2.0 * step);
      const std::array<double, 3> precision{of_mu - sums.curvature, fixed ? 0.0 : -sums.curvature_z,
                                            fixed ? 1.0 : bend - sums.curvature_zz};
      return NewtonProposal2(at, slope, precision, {0.5 * of_mu, 0.25 / ((size + 0.3) * (size + 0.3))});
    };
    const auto log_prior = [&](const Pair& at) {
      const double log_tau = std::log(std::abs(at[1])), z = (at[0] - priors_.mean) / priors_.sd;
      return priors_.tau.log_density(log_tau) - log_tau - 0.5 * z * z;
    };
    const Pair before{mu_, std::exp(log_tau_)};
    const Sums here = at_members(here_);
    const NewtonProposal2 forward = proposal(before, here);
    Pair there = forward.draw(stream_);
    if (fixed) there[1] = before[1];
    const double threshold = exponential(stream_);
    if (!std::isfinite(log_prior(there))) return;
    for_members([&](std::size_t b) { trial_[b] = members_[b].expand(there[0] + there[1] * z_[b]); });
    const Sums sums = at_members(trial_);
    const double gain = sums.value + log_prior(there) + proposal(there, sums).log_density(before) - here.value -
                        log_prior(before) - forward.log_density(there);
    if (!(threshold > -gain)) return;
    mu_ = there[0];
    if (!fixed) log_tau_ = std::log(std::abs(there[1]));
    if (there[1] < 0.0) {
      for (double& z : z_) z = -z;
    }
  }

  // Of all datasets, at log alpha_b = mu + tau z_b; the terms are left in trial_, to be added in one order.
  double log_likelihood(double mu, double log_tau) {
    const double tau = std::exp(log_tau);
    for_members([&](std::size_t b) { trial_[b].value = members_[b].log_likelihood(mu + tau * z_[b]); });
    return sum_of_trial();
  }
  double sum_of_trial() const {
    double sum = 0.0;
    for (const Expansion& at : trial_) sum += at.value;
    return sum;
  }

  void draw_tables(std::size_t b) {
    Member& member = members_[b];
    double* const tables = &tables_[b * n_categories_];
    if (const DatasetTerms& terms = member.terms; terms.tables) {
      terms.tables->draw(member.stream, log_alpha_[b], member.log_beta.data(), tables);
    } else if (!terms.is_empty) {
      terms.levels.draw_tables(member.stream, log_alpha_[b], member.beta.data(), tables);
    }
    std::copy(tables, tables + n_categories_, &whole_tables_[b * n_categories_]);
  }

  void draw_log_beta(std::size_t b) {
    std::vector<double>& shape = members_[b].slopes;
    shape.resize(n_categories_);
    for (std::size_t k = 0; k < n_categories_; ++k) shape[k] = concentration_[k] + tables_[b * n_categories_ + k];
    members_[b].draw_log_beta(shape);
  }

  const PopulationPriors& priors_;
  std::size_t n_categories_;
  int n_threads_;
  TimedPoll& poll_;
  Stream stream_;
  Upper upper_;
  std::vector<Member> members_;
  double mu_ = 0.0;
  double log_tau_ = 0.0;
  SliceWidth mu_width_{1.0}, tau_width_{1.0};
  bool adapting_ = false;
  bool shaped_ = false;
  std::size_t n_sweeps_ = 0;
  bool by_slices_ = true;  // in the last step of log alpha_b
  std::vector<double> log_alpha_, z_, concentration_;
  std::vector<Expansion> here_;  // the log-likelihoods at log alpha_b; derivatives after a Newton step
  std::vector<Expansion> trial_;
  std::vector<double> tables_;  // (B, K)
  std::vector<std::int64_t> whole_tables_;
};

}  // namespace

void sample_population(const std::vector<const SufficientStatistics*>& datasets, const PopulationPriors& priors,
                       const ChainOptions& options, const PopulationArrays& out,
                       const std::function<void(double)>& poll) {
  const std::size_t n_categories = priors.upper.beta.values.size();
  std::vector<DatasetTerms> terms;
  terms.reserve(datasets.size());
  for (const SufficientStatistics* dataset : datasets) terms.emplace_back(*dataset);
  const int outer = static_cast<int>(threads_for(options.n_chains, 1, options.n_threads));
  const int inner = std::max(options.n_threads / outer, 1);
  const auto start = [&](std::size_t c, TimedPoll& timed_poll) {
    return [&, c, chain = PopulationChain(terms, priors, options.key, c, inner, timed_poll)](std::size_t i) mutable {
      if (i < options.n_warmup) return chain.warm_up(i, options.n_warmup);
      chain.step();
      const std::size_t at = c * options.n_draws + i - options.n_warmup;
      out.mu[at] = chain.mu();
      out.log_tau[at] = chain.log_tau();
      out.log_kappa[at] = chain.upper().log_kappa();
      std::copy(chain.upper().log_m().begin(), chain.upper().log_m().end(), out.log_m + at * n_categories);
      out.acceptance[at] = chain.upper().last_step().acceptance;
      out.diverging[at] = chain.upper().last_step().diverging;
      for (std::size_t b = 0; b < datasets.size(); ++b) {
        const std::size_t place = b * options.n_chains * options.n_draws + at;
        out.log_alpha[place] = chain.log_alpha(b);
        std::copy(chain.log_beta(b).begin(), chain.log_beta(b).end(), out.log_beta + place * n_categories);
      }
    };
  };
  // The loops over datasets drop Stopped, as every parallel_for; run_chains looks again.
  run_chains(options.n_chains, options.n_warmup + options.n_draws, outer, start, poll);
}

}  // namespace hbm_fast
