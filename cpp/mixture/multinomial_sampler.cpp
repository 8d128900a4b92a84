#include "mixture/multinomial_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "math/special.hpp"
#include "mixture/chains.hpp"
#include "mixture/kernels.hpp"

namespace hbm_fast {

MultinomialGroups::MultinomialGroups(const CountSlots& slots, const std::vector<double>& of_categories)
    : first(slots.group_begin),
      weights(slots.weights),
      sum_of_weights(slots.sum_of_weights),
      prior(of_categories),
      sum_of_prior(std::accumulate(prior.begin(), prior.end(), 0.0)) {
  double all = 0.0;
  for (const std::uint32_t s : slots.slots) {
    const std::uint32_t k = slots.slot_category[s];
    counts.push_back({k, static_cast<std::uint32_t>(slots.values[s]), prior[k]});
    all += slots.values[s];
  }
  for (const std::uint32_t t : slots.total_slot) totals.push_back(slots.total_values[t]);
  // each product of that many factors lies within 1e-140 and 1e140, and so does that of the totals
  const double least = prior.empty() ? 1.0 : *std::min_element(prior.begin(), prior.end());
  most_factors = std::floor(140.0 / std::max({std::log10(2.0 * (all + sum_of_prior)), -std::log10(least), 1.0}));
}

namespace {

constexpr std::size_t groups_per_poll = 64;

class MultinomialChain {
 public:
  MultinomialChain(const MultinomialGroups& groups, const MixtureSamplerOptions& options, std::size_t number,
                   TimedPoll& poll)
      : groups_(groups),
        options_(options),
        poll_(poll),
        stream_(options.key, Site::chain, 0, number),
        open_(options.n_components == 0),
        process_concentration_(options.concentration),
        labels_(groups.n_groups(), -1) {
    if (open_ && options.rate > 0.0) process_concentration_ = gamma_variate(stream_, options.shape) / options.rate;
    grow(open_ ? 2 * component_block : options.n_components);
    n_columns_ = open_ ? component_block : stride_;
    if (open_) {
      for (std::size_t j = n_columns_; j-- > 1;) free_.push_back(j);
      prior_[0] = process_concentration_;
    } else {
      std::fill_n(prior_.begin(), options.n_components, options.weights);
    }
    // Each group is placed given those before it, in random order: chains start at partitions of their own.
    std::vector<std::size_t> order(groups.n_groups());
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1],
                order[static_cast<std::size_t>(uniform_integer(stream_, 0, static_cast<std::int64_t>(i) - 1))]);
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i % groups_per_poll == 0) poll_();
      place(order[i]);
    }
  }

  void sweep() {
    for (std::size_t g = 0; g < groups_.n_groups(); ++g) {
      if (g % groups_per_poll == 0) poll_();
      remove(g);
      place(g);
    }
    if (!open_) return;
    process_concentration_ =
        drawn_process_concentration(stream_, options_, process_concentration_, groups_.n_groups(), n_used());
    prior_[fresh_] = process_concentration_;
  }

  void record(MixtureChain& out);

 private:
  std::size_t n_used() const {
    return static_cast<std::size_t>(std::count_if(sizes_.begin(), sizes_.end(), [](std::int32_t n) { return n > 0; }));
  }

  // Columns for at least n components, in whole blocks; those there are keep their places.
  void grow(std::size_t n) {
    const std::size_t before = stride_, k = groups_.prior.size();
    stride_ = (n + component_block - 1) / component_block * component_block;
    std::vector<std::int32_t> wider(k * stride_, 0);
    for (std::size_t i = 0; i < k; ++i) {
      std::copy_n(counts_.begin() + static_cast<std::ptrdiff_t>(i * before), before,
                  wider.begin() + static_cast<std::ptrdiff_t>(i * stride_));
    }
    counts_.swap(wider);
    sizes_.resize(stride_, 0);
    words_.resize(stride_, 0);
    prior_.resize(stride_, 0.0);
    totals_.resize(stride_, groups_.sum_of_prior);
    sums_.resize(stride_ / component_block);
    weights_.resize(stride_);
  }

  void count(std::size_t g, std::size_t j, std::int32_t sign) {
    for (const CategoryCount* at = groups_.begin(g); at != groups_.end(g); ++at) {
      counts_[at->category * stride_ + j] += sign * static_cast<std::int32_t>(at->count);
    }
    sizes_[j] += sign;
    words_[j] += sign * static_cast<std::int64_t>(groups_.totals[g]);
    totals_[j] = static_cast<double>(words_[j]) + groups_.sum_of_prior;
    prior_[j] = static_cast<double>(sizes_[j]) + (open_ ? 0.0 : options_.weights);
  }

  void remove(std::size_t g) {
    const auto j = static_cast<std::size_t>(labels_[g]);
    count(g, j, -1);
    if (open_ && sizes_[j] == 0) free_.push_back(j);
  }

  // Draws the component of a group that is in none.
  void place(std::size_t g) {
    if (groups_.totals[g] <= groups_.most_factors) {
      multinomial_kernels().weigh(counts_.data(), stride_, groups_.begin(g), groups_.end(g), groups_.totals[g],
                                  prior_.data(), totals_.data(), n_columns_, weights_.data(), sums_.data());
    } else {
      weigh_by_logs(g);
    }
    const std::size_t j = drawn();
    labels_[g] = static_cast<std::int32_t>(j);
    count(g, j, 1);
    if (!open_ || j != fresh_) return;
    if (free_.empty()) {
      if (n_columns_ == stride_) grow(2 * stride_);
      for (std::size_t i = n_columns_ + component_block; i-- > n_columns_;) free_.push_back(i);
      n_columns_ += component_block;
    }
    fresh_ = free_.back();
    free_.pop_back();
    prior_[fresh_] = process_concentration_;
  }

  // The same weights up to a factor for a long text, whose products might leave the range of doubles.
  void weigh_by_logs(std::size_t g) {
    const auto& log_rising = mixture_kernels().eight.log_rising;
    constexpr std::size_t lanes = 8;
    double a[lanes], term[lanes];
    for (std::size_t j = 0; j < n_columns_; j += lanes) {
      log_rising(totals_.data() + j, &groups_.totals[g], 1, term);
      for (std::size_t l = 0; l < lanes; ++l) weights_[j + l] = std::log(prior_[j + l]) - term[l];
      for (const CategoryCount* at = groups_.begin(g); at != groups_.end(g); ++at) {
        const std::int32_t* const row = counts_.data() + at->category * stride_ + j;
        for (std::size_t l = 0; l < lanes; ++l) a[l] = static_cast<double>(row[l]) + at->prior;
        const double value = at->count;
        log_rising(a, &value, 1, term);
        for (std::size_t l = 0; l < lanes; ++l) weights_[j + l] += term[l];
      }
    }
    double log_sum;
    mixture_kernels().responsibilities(weights_.data(), 1, n_columns_, &log_sum);
    for (std::size_t b = 0; b < n_columns_ / component_block; ++b) {
      const auto from = weights_.begin() + static_cast<std::ptrdiff_t>(b * component_block);
      sums_[b] = std::accumulate(from, from + component_block, 0.0);
    }
  }

  // A column with probability proportional to weights_, whose sums by block are sums_.
  std::size_t drawn() {
    const std::size_t n_blocks = n_columns_ / component_block;
    double all = 0.0;
    for (std::size_t b = 0; b < n_blocks; ++b) all += sums_[b];
    double left = all * stream_.uniform();
    std::size_t block = 0;
    while (block + 1 < n_blocks && left >= sums_[block]) left -= sums_[block++];
    std::size_t last = n_columns_;
    for (std::size_t j = block * component_block; j < n_columns_; ++j) {
      if (!(weights_[j] > 0.0)) continue;
      last = j;
      left -= weights_[j];
      if (left < 0.0) return j;
    }
    // rounding left a remainder beyond the last column with a weight
    for (std::size_t j = n_columns_; last == n_columns_ && j-- > 0;) {
      if (weights_[j] > 0.0) last = j;
    }
    return last;
  }

  double log_likelihood() const;

  const MultinomialGroups& groups_;
  const MixtureSamplerOptions& options_;
  TimedPoll& poll_;
  Stream stream_;
  bool open_;
  double process_concentration_;
  std::vector<std::int32_t> labels_;  // columns
  std::size_t stride_ = 0;            // columns there is space for
  std::size_t n_columns_ = 0;         // columns that may be in use
  std::vector<std::int32_t> counts_;  // (K, stride)
  std::vector<std::int32_t> sizes_;   // (stride) groups of each component
  std::vector<std::int64_t> words_;   // (stride) their counts
  std::vector<double> totals_;        // (stride) the same plus the sum of the prior
  std::vector<double> prior_;         // (stride) weight of each component without the group's counts; 0 of unused ones
  std::vector<double> weights_, sums_;
  std::vector<std::size_t> free_;  // of a process: unused columns
  std::size_t fresh_ = 0;          // the one that stands for a new component
};

double MultinomialChain::log_likelihood() const {
  double sum = 0.0;
  for (std::size_t j = 0; j < n_columns_; ++j) {
    if (words_[j] > 0) sum -= log_rising(groups_.sum_of_prior, static_cast<double>(words_[j]));
  }
  std::vector<double> known;  // log rising factorials of one category's prior
  for (std::size_t k = 0; k < groups_.prior.size(); ++k) {
    if (k % groups_per_poll == 0) poll_();
    if (k > 0 && groups_.prior[k] != groups_.prior[k - 1]) known.clear();
    for (std::size_t j = 0; j < n_columns_; ++j) {
      const auto n = static_cast<std::size_t>(counts_[k * stride_ + j]);
      constexpr std::size_t most_known = 1024;
      if (n >= most_known) {
        sum += log_rising(groups_.prior[k], static_cast<double>(n));
        continue;
      }
      while (known.size() <= n) known.push_back(log_rising(groups_.prior[k], static_cast<double>(known.size())));
      sum += known[n];
    }
  }
  return sum;
}

// Components of a process are numbered in the order in which the groups use them.
void MultinomialChain::record(MixtureChain& out) {
  std::vector<double> sizes;
  std::vector<std::int32_t> number(stride_, -1);
  if (!open_) {
    sizes.assign(options_.n_components, 0.0);
    std::iota(number.begin(), number.begin() + static_cast<std::ptrdiff_t>(sizes.size()), 0);
  }
  for (const std::int32_t column : labels_) {
    std::int32_t& own = number[static_cast<std::size_t>(column)];
    if (own < 0) {
      own = static_cast<std::int32_t>(sizes.size());
      sizes.push_back(0.0);
    }
    sizes[static_cast<std::size_t>(own)] += 1.0;
    out.labels.push_back(own);
  }
  std::vector<double> log_weights(sizes.size()), shares;
  if (!open_) {
    for (const double n : sizes) shares.push_back(n + options_.weights);
    log_dirichlet(stream_, shares.data(), shares.size(), log_weights.data());
    for (std::size_t j = 0; j < shares.size(); ++j) shares[j] = std::exp(log_weights[j]);
  }
  for (std::size_t e = 0; e < options_.n_empty; ++e) {
    if (open_) {
      shares = sizes;
      shares.push_back(process_concentration_);
    }
    double left = stream_.uniform() * std::accumulate(shares.begin(), shares.end(), 0.0);
    std::size_t j = 0;
    while (j + 1 < shares.size() && left >= shares[j]) left -= shares[j++];
    if (j == sizes.size()) sizes.push_back(0.0);
    sizes[j] += 1.0;
    out.labels.push_back(static_cast<std::int32_t>(j));
  }
  if (open_) {
    log_weights.resize(sizes.size());
    const double all = static_cast<double>(groups_.n_groups() + options_.n_empty) + process_concentration_;
    for (std::size_t j = 0; j < sizes.size(); ++j) log_weights[j] = std::log(sizes[j] / all);
  }
  out.log_weights.insert(out.log_weights.end(), log_weights.begin(), log_weights.end());
  out.n_components.push_back(static_cast<std::int32_t>(sizes.size()));
  out.n_used.push_back(static_cast<std::int32_t>(sizes.size()) -
                       static_cast<std::int32_t>(std::count(sizes.begin(), sizes.end(), 0.0)));
  out.log_likelihood.push_back(log_likelihood());
  out.process_concentration.push_back(process_concentration_);
}

}  // namespace

std::vector<MixtureChain> sample_multinomial_mixture(const MultinomialGroups& groups,
                                                     const MixtureSamplerOptions& options,
                                                     const std::function<void(double)>& poll) {
  return run_chains(
      options, [&](std::size_t c, TimedPoll& timed_poll) { return MultinomialChain(groups, options, c, timed_poll); },
      poll);
}

}  // namespace hbm_fast
