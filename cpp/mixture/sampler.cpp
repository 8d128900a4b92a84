#include "mixture/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "math/special.hpp"
#include "math/sum.hpp"
#include "mixture/chains.hpp"
#include "mixture/component.hpp"
#include "mixture/seeds.hpp"
#include "mixture/tilted_gammas.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// Auxiliary components of a Dirichlet process: of 1, 3 and 10, the most effective draws a second.
constexpr std::size_t n_auxiliary = 3;

// With fewer positive counts in the table, the Gibbs step and single moves of labels mix well and cost less.
constexpr std::size_t fewest_counts = 40;
constexpr double slice_share = 0.25;       // of the Gibbs steps that a slice step on alpha follows
constexpr double independent_share = 0.9;  // of the sweeps, whose parameters come from independence steps

class ComponentChain {
 public:
  ComponentChain(const CountSlots& slots, const ModelView& model, const MixtureSamplerOptions& options,
                 std::size_t number, TimedPoll& poll)
      : slots_(slots),
        options_(options),
        sampler_(slots, model),
        stream_(options.key, Site::chain, 0, number),
        open_(options.n_components == 0),
        process_concentration_(options.concentration),
        labels_(slots.n_groups(), 0) {
    if (slots.slots.size() >= fewest_counts && TiltedGammasFinder::serves(model)) {
      finder_.emplace(slots, model);
      for (int i = 0; i < 2; ++i) spare_.push_back(sampler_.empty());
      sets_.resize(n_groups());
    }
    if (open_ && options.rate > 0.0) process_concentration_ = gamma_variate(stream_, options.shape) / options.rate;
    std::size_t n_start = options.n_components;
    // from one component and from several: chains that start on either side of the posterior
    if (open_)
      n_start = std::min<std::size_t>(std::size_t{1} << (2 * (number % 3)), std::max(n_groups(), std::size_t{1}));
    double best = start(n_start, poll);
    constexpr int n_attempts = 4;  // two seeds may fall into one kind of groups, which single moves of labels keep
    for (int i = 1; i < n_attempts && n_start > 1; ++i) {
      auto pool = pool_;
      auto labels = labels_;
      auto active = active_, free = free_;
      const double value = start(n_start, poll);
      if (value > best) {
        best = value;
        continue;
      }
      pool_.swap(pool);
      labels_.swap(labels);
      active_.swap(active);
      free_.swap(free);
    }
  }

  void sweep() {
    if (open_) {
      draw_labels_of_process();
      process_concentration_ =
          drawn_process_concentration(stream_, options_, process_concentration_, n_groups(), active_.size());
    } else if (options_.n_components > 1) {
      draw_labels();
    }
    if (finder_ && options_.n_components != 1 && n_groups() > 1) split_or_merge();
    draw_parameters(false);
  }

  void record(MixtureChain& out);

 private:
  std::size_t n_groups() const { return slots_.n_groups(); }

  // Labels by k-means++, and parameters for them; returns their log likelihood.
  double start(std::size_t n_start, TimedPoll& poll) {
    pool_.clear();
    active_.clear();
    free_.clear();
    if (n_groups() > 0 && n_start > 1) {
      std::vector<double> uniforms(n_start);
      for (double& u : uniforms) u = stream_.uniform();
      hellinger_labels(slots_, n_start, uniforms.data(), 1, 3, labels_.data(), poll);
    }
    for (std::size_t c = 0; c < n_start; ++c) active_.push_back(fresh());
    for (const std::int32_t z : labels_) ++pool_[static_cast<std::size_t>(z)].size;
    if (open_) {  // of fewer distinct groups some components stay empty
      const auto used =
          std::partition(active_.begin(), active_.end(), [&](std::size_t c) { return pool_[c].size > 0; });
      free_.assign(used, active_.end());
      active_.erase(used, active_.end());
    }
    // The first steps of the parameters: proposals are accepted whatever the density, far from which chains start.
    const int n_first = finder_ ? 2 : 10;
    for (int i = 0; i < n_first; ++i) draw_parameters(true);
    return log_likelihood();
  }

  double log_likelihood() const {
    double sum = 0.0;
    for (std::size_t g = 0; g < n_groups(); ++g) sum += pool_[static_cast<std::size_t>(labels_[g])].log_likelihood[g];
    return sum;
  }

  // A component from the prior, with its log likelihood from group `first` on; its place in the pool.
  std::size_t fresh(std::size_t first = 0) {
    const std::size_t place = unused_place();
    sampler_.draw_prior(stream_, pool_[place]);
    sampler_.evaluate(pool_[place], first);
    return place;
  }

  std::size_t unused_place() {
    std::size_t place = pool_.size();
    if (free_.empty()) {
      pool_.push_back(sampler_.empty());
    } else {
      place = free_.back();
      free_.pop_back();
    }
    pool_[place].size = 0;
    return place;
  }

  // Draws an element of active_ with probability proportional to exp(scores_).
  std::size_t drawn() {
    const double largest = *std::max_element(scores_.begin(), scores_.end());
    double sum = 0.0;
    for (double& s : scores_) sum += s = std::exp(s - largest);
    double left = sum * stream_.uniform();
    for (std::size_t i = 0; i + 1 < scores_.size(); ++i) {
      left -= scores_[i];
      if (left < 0.0) return i;
    }
    return scores_.size() - 1;
  }

  void draw_labels() {
    scores_.resize(active_.size());
    for (std::size_t g = 0; g < n_groups(); ++g) {
      --pool_[static_cast<std::size_t>(labels_[g])].size;
      for (std::size_t i = 0; i < active_.size(); ++i) {
        const Component& component = pool_[active_[i]];
        scores_[i] = component.log_likelihood[g] + std::log(static_cast<double>(component.size) + options_.weights);
      }
      const std::size_t place = active_[drawn()];
      labels_[g] = static_cast<std::int32_t>(place);
      ++pool_[place].size;
    }
  }

  // The components in use come first in active_, then the auxiliary ones.
  void draw_labels_of_process() {
    const std::size_t n_last = active_.size();
    for (std::size_t i = 0; i < n_auxiliary; ++i) active_.push_back(fresh());
    std::size_t n_used = n_last;
    const double log_new = std::log(process_concentration_ / static_cast<double>(n_auxiliary));
    for (std::size_t g = 0; g < n_groups(); ++g) {
      const auto own = static_cast<std::size_t>(labels_[g]);
      if (--pool_[own].size == 0) {  // it takes the place of an auxiliary component drawn at random
        const auto at = static_cast<std::size_t>(std::find(active_.begin(), active_.end(), own) - active_.begin());
        std::swap(active_[at], active_[--n_used]);
        const std::size_t chosen = n_used + 1 + static_cast<std::size_t>(uniform_integer(stream_, 0, n_auxiliary - 1));
        free_.push_back(active_[chosen]);
        active_[chosen] = active_.back();
        active_.pop_back();
      }
      scores_.resize(active_.size());
      for (std::size_t i = 0; i < active_.size(); ++i) {
        const Component& component = pool_[active_[i]];
        scores_[i] =
            component.log_likelihood[g] + (i < n_used ? std::log(static_cast<double>(component.size)) : log_new);
      }
      const std::size_t i = drawn();
      labels_[g] = static_cast<std::int32_t>(active_[i]);
      ++pool_[active_[i]].size;
      if (i >= n_used) {
        std::swap(active_[i], active_[n_used++]);
        active_.push_back(fresh(g + 1));
      }
    }
    free_.insert(free_.end(), active_.begin() + static_cast<std::ptrdiff_t>(n_used), active_.end());
    active_.resize(n_used);
  }

  // With `forced`, proposals are accepted whatever the density.
  void draw_parameters(bool forced) {
    std::vector<std::size_t> by_tables;
    const bool independent = finder_ && (forced || stream_.uniform() < independent_share);
    std::vector<std::size_t> block;
    for (const std::size_t place : active_) {
      if (pool_[place].size == 0) {
        sampler_.draw_prior(stream_, pool_[place]);
        sampler_.evaluate(pool_[place], 0);
      } else if (independent) {
        block.push_back(place);
        if (block.size() == TiltedGammasFinder::lanes) independence_steps(block, forced, by_tables);
      } else {
        by_tables.push_back(place);
      }
    }
    if (!block.empty()) independence_steps(block, forced, by_tables);
    if (by_tables.empty()) return;
    sampler_.count_tables(stream_, labels_, pool_);
    for (const std::size_t place : by_tables) {
      sampler_.update(stream_, pool_[place]);
      if (!finder_ && stream_.uniform() < slice_share) {
        groups_.clear();
        for (std::size_t g = 0; g < n_groups(); ++g) {
          if (static_cast<std::size_t>(labels_[g]) == place) groups_.push_back(g);
        }
        sampler_.slice_alpha(stream_, pool_[place], groups_);
      }
      sampler_.evaluate(pool_[place], 0);
    }
  }

  // Metropolis steps whose proposals do not depend on the present parameters; components without a proposal are added
  // to `others`. Clears the block.
  void independence_steps(std::vector<std::size_t>& block, bool forced, std::vector<std::size_t>& others) {
    std::fill(sets_.begin(), sets_.end(), -1);
    for (std::size_t g = 0; g < n_groups(); ++g) {
      const auto at = std::find(block.begin(), block.end(), static_cast<std::size_t>(labels_[g]));
      if (at != block.end()) sets_[g] = static_cast<std::int32_t>(at - block.begin());
    }
    const auto found = finder_->find(sets_, block.size());
    for (std::size_t l = 0; l < block.size(); ++l) {
      if (!found[l]) {
        others.push_back(block[l]);
        continue;
      }
      Component& present = pool_[block[l]];
      Component& proposal = spare_[0];
      propose(*found[l], proposal);
      const auto set = static_cast<std::int32_t>(l);
      const double gain = log_ratio(*found[l], proposal, set) - log_ratio(*found[l], present, set);
      if (forced || std::log(stream_.uniform()) < gain) {
        proposal.size = present.size;
        present.swap(proposal);
      }
    }
    block.clear();
  }

  void propose(const TiltedGammas& from, Component& component) {
    from.draw(stream_, component.log_beta.data());
    to_parameters(component);
  }

  // From y = log(alpha beta) in the place of log beta.
  void to_parameters(Component& component) {
    std::vector<double>& y = component.log_beta;
    component.log_alpha = log_sum_exp(y);
    for (double& value : y) value -= component.log_alpha;
    sampler_.evaluate(component, 0);
  }

  // log of the density of the groups of a set and the parameters over that of the proposal.
  double log_ratio(const TiltedGammas& proposal, const Component& component, std::int32_t set) {
    double value = sampler_.log_prior(component);
    for (std::size_t g = 0; g < n_groups(); ++g) {
      if (sets_[g] == set) value += component.log_likelihood[g];
    }
    y_.resize(component.log_beta.size());
    for (std::size_t k = 0; k < y_.size(); ++k) y_[k] = component.log_alpha + component.log_beta[k];
    return value - proposal.log_density(y_.data());
  }

  // Jain & Neal 2007 (doi:10.1214/07-BA219): two groups drawn at random are parted, if they share a component, or
  // their components merged. The launch state does not depend on the present allocation: the others are allocated to
  // the nearer of the two, then by scans under the modes of either part. Parameters are drawn from tilted gammas.
  void split_or_merge();

  const CountSlots& slots_;
  const MixtureSamplerOptions& options_;
  ComponentSampler sampler_;
  Stream stream_;
  bool open_;
  double process_concentration_;
  std::vector<std::int32_t> labels_;  // places in the pool
  std::vector<Component> pool_;
  std::vector<std::size_t> active_, free_;  // places: the components of the mixture, and those not in use
  std::vector<double> scores_;
  std::optional<TiltedGammasFinder> finder_;
  std::vector<Component> spare_;    // two proposals
  std::vector<std::int32_t> sets_;  // of each group: which of some sets it is in, or -1
  std::vector<double> y_;
  std::vector<std::size_t> groups_;
};

void ComponentChain::split_or_merge() {
  const auto last = static_cast<std::int64_t>(n_groups()) - 1;
  const auto i = static_cast<std::size_t>(uniform_integer(stream_, 0, last));
  auto j = static_cast<std::size_t>(uniform_integer(stream_, 0, last - 1));
  j += j >= i;
  const auto own_i = static_cast<std::size_t>(labels_[i]), own_j = static_cast<std::size_t>(labels_[j]);
  const bool split = own_i == own_j;
  std::vector<std::size_t> empty;
  for (const std::size_t place : active_) {
    if (pool_[place].size == 0) empty.push_back(place);
  }
  if (!open_ && split && empty.empty()) return;

  // the launch state: by Hellinger's distance
  std::vector<double> towards_i(slots_.n_categories, 0.0);
  const auto each = [&](std::size_t g, auto&& f) {
    const double total = slots_.total_values[slots_.total_slot[g]];
    for (std::size_t at = slots_.group_begin[g]; at < slots_.group_begin[g + 1]; ++at) {
      f(slots_.slot_category[slots_.slots[at]], std::sqrt(slots_.values[slots_.slots[at]] / total));
    }
  };
  each(i, [&](std::size_t k, double root) { towards_i[k] += root; });
  each(j, [&](std::size_t k, double root) { towards_i[k] -= root; });
  std::vector<std::size_t> others;
  double sizes[2] = {1.0, 1.0};
  for (std::size_t g = 0; g < n_groups(); ++g) {
    const auto own = static_cast<std::size_t>(labels_[g]);
    sets_[g] = -1;
    if ((own != own_i && own != own_j) || g == i || g == j) continue;
    others.push_back(g);
    double nearer = 0.0;
    each(g, [&](std::size_t k, double root) { nearer += root * towards_i[k]; });
    sets_[g] = nearer >= 0.0 ? 0 : 1;
    sizes[sets_[g]] += 1.0;
  }
  sets_[i] = 0;
  sets_[j] = 1;
  const double all = sizes[0] + sizes[1];

  constexpr int n_scans = 3;
  double log_allocation = 0.0;  // log probability of the last scan
  const double more = open_ ? 0.0 : options_.weights;
  for (int scan = 1; scan <= n_scans; ++scan) {
    const auto found = finder_->find(sets_, 2);
    if (!found[0] || !found[1]) return;
    for (std::size_t s = 0; s < 2; ++s) {
      for (std::size_t k = 0; k < slots_.n_categories; ++k) spare_[s].log_beta[k] = std::log(found[s]->mode()[k]);
      to_parameters(spare_[s]);
    }
    for (const std::size_t g : others) {
      sizes[sets_[g]] -= 1.0;
      const double logit =
          spare_[1].log_likelihood[g] - spare_[0].log_likelihood[g] + std::log((sizes[1] + more) / (sizes[0] + more));
      const double log_p[2] = {-std::max(logit, 0.0) - std::log1p(std::exp(-std::abs(logit))),
                               -std::max(-logit, 0.0) - std::log1p(std::exp(-std::abs(logit)))};
      if (scan == n_scans && !split) {
        sets_[g] = static_cast<std::size_t>(labels_[g]) == own_i ? 0 : 1;
      } else {
        sets_[g] = std::log(stream_.uniform()) < log_p[0] ? 0 : 1;
      }
      if (scan == n_scans) log_allocation += log_p[sets_[g]];
      sizes[sets_[g]] += 1.0;
    }
  }
  const auto parts = finder_->find(sets_, 2);
  const std::vector<std::int32_t> allocation = sets_;
  for (std::int32_t& set : sets_) set = std::min(set, 0);
  const auto whole = finder_->find(sets_, 1);
  if (!parts[0] || !parts[1] || !whole[0]) return;

  const std::size_t n_unused = empty.size() + (split ? 0 : 1);
  const double log_prior = log_prior_of_split(sizes, n_unused, options_, process_concentration_);
  double gain = log_prior - log_allocation;
  if (split) {
    gain -= log_ratio(*whole[0], pool_[own_i], 0);
    sets_ = allocation;
    for (std::int32_t s = 0; s < 2; ++s) {
      propose(*parts[static_cast<std::size_t>(s)], spare_[s]);
      gain += log_ratio(*parts[static_cast<std::size_t>(s)], spare_[s], s);
    }
    if (!(std::log(stream_.uniform()) < gain)) return;
    std::size_t place;
    if (open_) {
      place = unused_place();
      active_.push_back(place);
    } else {
      place = empty[static_cast<std::size_t>(uniform_integer(stream_, 0, static_cast<std::int64_t>(empty.size()) - 1))];
    }
    spare_[0].size = static_cast<std::size_t>(sizes[0]);
    spare_[1].size = static_cast<std::size_t>(sizes[1]);
    pool_[own_i].swap(spare_[0]);
    pool_[place].swap(spare_[1]);
    for (std::size_t g = 0; g < n_groups(); ++g) {
      if (allocation[g] == 1) labels_[g] = static_cast<std::int32_t>(place);
    }
    return;
  }
  propose(*whole[0], spare_[0]);
  gain -= log_ratio(*whole[0], spare_[0], 0);
  sets_ = allocation;
  gain += log_ratio(*parts[0], pool_[own_i], 0) + log_ratio(*parts[1], pool_[own_j], 1);
  if (!(std::log(stream_.uniform()) < -gain)) return;
  spare_[0].size = static_cast<std::size_t>(all);
  pool_[own_i].swap(spare_[0]);
  for (std::size_t g = 0; g < n_groups(); ++g) {
    if (allocation[g] == 1) labels_[g] = static_cast<std::int32_t>(own_i);
  }
  pool_[own_j].size = 0;  // of a finite mixture `draw_parameters` draws it from the prior
  if (open_) {
    active_.erase(std::find(active_.begin(), active_.end(), own_j));
    free_.push_back(own_j);
  }
}

void ComponentChain::record(MixtureChain& out) {
  auto [order, sizes, log_weights] = record_labels(stream_, labels_, pool_.size(),
                                                   open_ ? std::vector<std::size_t>() : active_, options_.weights, out);
  std::vector<std::size_t> added;
  for (std::size_t e = 0; e < options_.n_empty; ++e) {
    scores_ = open_ ? sizes : log_weights;
    if (open_) {
      for (double& s : scores_) s = std::log(s);
      scores_.push_back(std::log(process_concentration_));
    }
    const std::size_t i = drawn();
    if (i == order.size()) {
      order.push_back(fresh(n_groups()));
      added.push_back(order.back());
      sizes.push_back(0.0);
    }
    sizes[i] += 1.0;
    out.labels.push_back(static_cast<std::int32_t>(i));
  }
  for (const std::size_t place : order) {
    const Component& component = pool_[place];
    out.log_alpha.push_back(component.log_alpha);
    out.log_beta.insert(out.log_beta.end(), component.log_beta.begin(), component.log_beta.end());
    if (component.concentration) out.log_concentration.push_back(component.concentration->log_value());
  }
  record_weights(sizes, std::move(log_weights), options_, process_concentration_, out);
  out.log_likelihood.push_back(log_likelihood());
  free_.insert(free_.end(), added.begin(), added.end());
}

}  // namespace

std::vector<MixtureChain> sample_mixture(const CountSlots& slots, const ModelView& component,
                                         const MixtureSamplerOptions& options,
                                         const std::function<void(double)>& poll) {
  return record_chains(
      options,
      [&](std::size_t c, TimedPoll& timed_poll) { return ComponentChain(slots, component, options, c, timed_poll); },
      poll);
}

}  // namespace hbm_fast
