#include "mixture/sampler.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/parallel.hpp"
#include "mixture/component.hpp"
#include "mixture/seeds.hpp"
#include "simulation/variates.hpp"

namespace hbm_fast {
namespace {

// Auxiliary components of a Dirichlet process: of 1, 3 and 10, the most effective draws a second.
constexpr std::size_t n_auxiliary = 3;

double gamma_variate(Stream& stream, double shape) { return std::exp(log_gamma_variate(stream, shape)); }

class Chain {
 public:
  Chain(const CountSlots& slots, const ModelView& model, const MixtureSamplerOptions& options, std::size_t number,
        TimedPoll& poll)
      : slots_(slots),
        options_(options),
        sampler_(slots, model),
        stream_(options.key, Site::chain, 0, number),
        open_(options.n_components == 0),
        process_concentration_(options.concentration),
        labels_(slots.n_groups(), 0) {
    if (open_ && options.rate > 0.0) process_concentration_ = gamma_variate(stream_, options.shape) / options.rate;
    std::size_t n_start = options.n_components;
    // from one component and from several: chains that start on either side of the posterior
    if (open_) n_start = std::min<std::size_t>(std::size_t{1} << (2 * (number % 3)), std::max(n_groups(), std::size_t{1}));
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
      draw_process_concentration();
    } else if (options_.n_components > 1) {
      draw_labels();
    }
    draw_parameters();
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
      hellinger_labels(slots_, n_start, uniforms.data(), 3, labels_.data(), poll);
    }
    for (std::size_t c = 0; c < n_start; ++c) active_.push_back(fresh());
    for (const std::int32_t z : labels_) ++pool_[static_cast<std::size_t>(z)].size;
    if (open_) {  // of fewer distinct groups some components stay empty
      const auto used = std::partition(active_.begin(), active_.end(), [&](std::size_t c) { return pool_[c].size > 0; });
      free_.assign(used, active_.end());
      active_.erase(used, active_.end());
    }
    constexpr int n_first = 10;  // steps of the parameters for the first labels
    for (int i = 0; i < n_first; ++i) draw_parameters();
    return log_likelihood();
  }

  double log_likelihood() const {
    double sum = 0.0;
    for (std::size_t g = 0; g < n_groups(); ++g) sum += pool_[static_cast<std::size_t>(labels_[g])].log_likelihood[g];
    return sum;
  }

  // A component from the prior, with its log likelihood from group `first` on; its place in the pool.
  std::size_t fresh(std::size_t first = 0) {
    std::size_t place = pool_.size();
    if (free_.empty()) {
      pool_.push_back(sampler_.empty());
    } else {
      place = free_.back();
      free_.pop_back();
    }
    Component& component = pool_[place];
    component.size = 0;
    sampler_.draw_prior(stream_, component);
    sampler_.evaluate(component, first);
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
        const std::size_t chosen =
            n_used + 1 + static_cast<std::size_t>(uniform_integer(stream_, 0, n_auxiliary - 1));
        free_.push_back(active_[chosen]);
        active_[chosen] = active_.back();
        active_.pop_back();
      }
      scores_.resize(active_.size());
      for (std::size_t i = 0; i < active_.size(); ++i) {
        const Component& component = pool_[active_[i]];
        scores_[i] = component.log_likelihood[g] +
                     (i < n_used ? std::log(static_cast<double>(component.size)) : log_new);
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

  // Escobar & West 1995 (doi:10.1080/01621459.1995.10476550), section 6.
  void draw_process_concentration() {
    if (!(options_.rate > 0.0)) return;
    if (n_groups() == 0) {
      process_concentration_ = gamma_variate(stream_, options_.shape) / options_.rate;
      return;
    }
    const double n = static_cast<double>(n_groups()), used = static_cast<double>(active_.size());
    const double of_one[2] = {process_concentration_ + 1.0, n};
    double log_share[2];
    log_dirichlet(stream_, of_one, 2, log_share);
    const double rate = options_.rate - log_share[0];
    const double odds = (options_.shape + used - 1.0) / (n * rate);
    const bool more = stream_.uniform() * (1.0 + odds) < odds;
    process_concentration_ = gamma_variate(stream_, options_.shape + used - (more ? 0.0 : 1.0)) / rate;
  }

  void draw_parameters() {
    sampler_.count_tables(stream_, labels_, pool_);
    for (const std::size_t place : active_) {
      Component& component = pool_[place];
      if (component.size > 0) {
        sampler_.update(stream_, component);
      } else {
        sampler_.draw_prior(stream_, component);
      }
      sampler_.evaluate(component, 0);
    }
  }

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
  // of `record`
  std::vector<std::int32_t> number_;
  std::vector<double> sizes_;
};

// Components of a process are numbered in the order in which the groups use them.
void Chain::record(MixtureChain& out) {
  number_.assign(pool_.size(), -1);
  std::vector<std::size_t> order;
  if (!open_) {
    order = active_;
    for (std::size_t i = 0; i < order.size(); ++i) number_[order[i]] = static_cast<std::int32_t>(i);
  }
  sizes_.assign(order.size(), 0.0);
  for (std::size_t g = 0; g < n_groups(); ++g) {
    const auto place = static_cast<std::size_t>(labels_[g]);
    if (number_[place] < 0) {
      number_[place] = static_cast<std::int32_t>(order.size());
      order.push_back(place);
      sizes_.push_back(0.0);
    }
    sizes_[static_cast<std::size_t>(number_[place])] += 1.0;
    out.labels.push_back(number_[place]);
  }
  std::vector<double> log_weights(order.size());
  if (!open_) {
    scores_.resize(order.size());
    for (std::size_t i = 0; i < order.size(); ++i) scores_[i] = sizes_[i] + options_.weights;
    log_dirichlet(stream_, scores_.data(), order.size(), log_weights.data());
  }
  std::vector<std::size_t> added;
  for (std::size_t e = 0; e < options_.n_empty; ++e) {
    scores_ = open_ ? sizes_ : log_weights;
    if (open_) {
      for (double& s : scores_) s = std::log(s);
      scores_.push_back(std::log(process_concentration_));
    }
    const std::size_t i = drawn();
    if (i == order.size()) {
      order.push_back(fresh(n_groups()));
      added.push_back(order.back());
      sizes_.push_back(0.0);
    }
    sizes_[i] += 1.0;
    out.labels.push_back(static_cast<std::int32_t>(i));
  }
  if (open_) {
    log_weights.resize(order.size());
    const double all = static_cast<double>(n_groups() + options_.n_empty) + process_concentration_;
    for (std::size_t i = 0; i < order.size(); ++i) log_weights[i] = std::log(sizes_[i] / all);
  }
  for (const std::size_t place : order) {
    const Component& component = pool_[place];
    out.log_alpha.push_back(component.log_alpha);
    out.log_beta.insert(out.log_beta.end(), component.log_beta.begin(), component.log_beta.end());
    if (component.concentration) out.log_concentration.push_back(component.concentration->log_value());
  }
  out.log_weights.insert(out.log_weights.end(), log_weights.begin(), log_weights.end());
  out.n_components.push_back(static_cast<std::int32_t>(order.size()));
  out.n_used.push_back(static_cast<std::int32_t>(sizes_.size()) -
                       static_cast<std::int32_t>(std::count(sizes_.begin(), sizes_.end(), 0.0)));
  out.log_likelihood.push_back(log_likelihood());
  out.process_concentration.push_back(process_concentration_);
  free_.insert(free_.end(), added.begin(), added.end());
}

}  // namespace

std::vector<MixtureChain> sample_mixture(const CountSlots& slots, const ModelView& component,
                                         const MixtureSamplerOptions& options,
                                         const std::function<void(double)>& poll) {
  const double n_sweeps = static_cast<double>(options.n_chains) * static_cast<double>(options.n_warmup + options.n_draws);
  std::atomic<std::size_t> done{0};
  const Poll poll_with_share = [&] {
    if (poll) poll(static_cast<double>(done) / n_sweeps);
  };
  TimedPoll timed_poll(poll_with_share);
  std::vector<MixtureChain> chains(options.n_chains);
  parallel_for(
      options.n_chains, 1, options.n_threads,
      [&](std::size_t begin, std::size_t end) {
        for (std::size_t c = begin; c < end; ++c) {
          Chain chain(slots, component, options, c, timed_poll);
          for (std::size_t i = 0; i < options.n_warmup + options.n_draws; ++i) {
            timed_poll();
            chain.sweep();
            if (i >= options.n_warmup) chain.record(chains[c]);
            ++done;
          }
        }
      },
      [&] { timed_poll(); });
  return chains;
}

}  // namespace hbm_fast
