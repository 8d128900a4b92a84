#include "mixture/multinomial_sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "math/special.hpp"
#include "math/sum.hpp"
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
constexpr std::size_t components_per_move = 8;  // split-merge moves then take a fifth of a sweep
constexpr int n_scans = 3;                      // of a split-merge move, after the first allocation

// What the groups that are in some component have in each: columns are components, in whole blocks.
struct ComponentCounts {
  explicit ComponentCounts(const MultinomialGroups& all) : groups(&all) {}

  const MultinomialGroups* groups;
  std::size_t stride = 0;
  std::vector<std::int32_t> counts;  // (K, stride)
  std::vector<std::int32_t> sizes;   // (stride) groups of each component
  std::vector<std::int64_t> words;   // (stride) their counts
  std::vector<double> totals;        // (stride) the same plus the sum of the prior

  // Columns for at least n components; those there are keep their places.
  void grow(std::size_t n) {
    const std::size_t before = stride, k = groups->prior.size();
    stride = (n + component_block - 1) / component_block * component_block;
    std::vector<std::int32_t> wider(k * stride, 0);
    for (std::size_t i = 0; i < k; ++i) {
      std::copy_n(counts.begin() + static_cast<std::ptrdiff_t>(i * before), before,
                  wider.begin() + static_cast<std::ptrdiff_t>(i * stride));
    }
    counts.swap(wider);
    sizes.resize(stride, 0);
    words.resize(stride, 0);
    totals.resize(stride, groups->sum_of_prior);
  }

  void count(std::size_t g, std::size_t j, std::int32_t sign) {
    for (const CategoryCount* at = groups->begin(g); at != groups->end(g); ++at) {
      counts[at->category * stride + j] += sign * static_cast<std::int32_t>(at->count);
    }
    sizes[j] += sign;
    words[j] += sign * static_cast<std::int64_t>(groups->totals[g]);
    totals[j] = static_cast<double>(words[j]) + groups->sum_of_prior;
  }

  // out[j] = log of weight[j] times the probability of a group given the groups of component j; for a long text, whose
  // products might leave the range of doubles.
  void log_weigh(const MultinomialGroups& from, std::size_t g, const double* weight, std::size_t n, double* out) const {
    const auto& rising = mixture_kernels().eight.log_rising;
    constexpr std::size_t lanes = 8;
    double a[lanes], term[lanes];
    for (std::size_t j = 0; j < n; j += lanes) {
      rising(totals.data() + j, &from.totals[g], 1, term);
      for (std::size_t l = 0; l < lanes; ++l) out[j + l] = std::log(weight[j + l]) - term[l];
      for (const CategoryCount* at = from.begin(g); at != from.end(g); ++at) {
        const std::int32_t* const row = counts.data() + at->category * stride + j;
        for (std::size_t l = 0; l < lanes; ++l) a[l] = static_cast<double>(row[l]) + at->prior;
        const double value = at->count;
        rising(a, &value, 1, term);
        for (std::size_t l = 0; l < lanes; ++l) out[j + l] += term[l];
      }
    }
  }
};

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
        labels_(groups.n_groups(), -1),
        held_(groups) {
    if (open_ && options.rate > 0.0) process_concentration_ = gamma_variate(stream_, options.shape) / options.rate;
    // Random labels: components that start alike part, while two kinds that start in one component stay there. Chains
    // of a process start at two numbers of components, both large.
    std::size_t n_start = options.n_components;
    if (open_) {
      const double n = static_cast<double>(groups.n_groups());
      n_start =
          static_cast<std::size_t>(std::clamp((number % 2 == 0 ? 2.0 : 8.0) * std::sqrt(n), 1.0, std::max(n, 1.0)));
    }
    grow(open_ ? n_start + 1 : n_start);
    n_columns_ = held_.stride;
    if (!open_) std::fill_n(prior_.begin(), n_start, options.weights);
    for (std::size_t g = 0; g < groups.n_groups(); ++g) {
      labels_[g] = static_cast<std::int32_t>(uniform_integer(stream_, 0, static_cast<std::int64_t>(n_start) - 1));
      count(g, static_cast<std::size_t>(labels_[g]), 1);
    }
    if (open_) find_free();
  }

  void sweep() {
    for (std::size_t g = 0; g < groups_.n_groups(); ++g) {
      if (g % groups_per_poll == 0) poll_();
      remove(g);
      place(g);
    }
    if (options_.n_components != 1 && groups_.n_groups() > 1) {
      for (std::size_t i = 0; i < 1 + n_used() / components_per_move; ++i) split_or_merge();
    }
    if (!open_) return;
    process_concentration_ =
        drawn_process_concentration(stream_, options_, process_concentration_, groups_.n_groups(), n_used());
    prior_[fresh_] = process_concentration_;
    if (2 * (n_used() + component_block) < n_columns_) compact();
  }

  void record(MixtureChain& out);

 private:
  std::size_t n_used() const {
    return static_cast<std::size_t>(
        std::count_if(held_.sizes.begin(), held_.sizes.end(), [](std::int32_t n) { return n > 0; }));
  }

  void grow(std::size_t n) {
    held_.grow(n);
    prior_.resize(held_.stride, 0.0);
    sums_.resize(held_.stride / component_block);
    weights_.resize(held_.stride);
  }

  // Of a process: no more columns than the components and a new one need.
  void compact() {
    std::vector<std::int32_t> number(held_.stride, -1);
    std::int32_t used = 0;
    for (std::size_t j = 0; j < n_columns_; ++j) {
      if (held_.sizes[j] > 0) number[j] = used++;
    }
    held_ = ComponentCounts(groups_);
    prior_.clear();
    grow(static_cast<std::size_t>(used) + 1);
    n_columns_ = held_.stride;
    for (std::size_t g = 0; g < groups_.n_groups(); ++g) {
      labels_[g] = number[static_cast<std::size_t>(labels_[g])];
      count(g, static_cast<std::size_t>(labels_[g]), 1);
    }
    find_free();
  }

  // Of a process: the unused columns, of which one stands for a new component.
  void find_free() {
    free_.clear();
    for (std::size_t j = n_columns_; j-- > 0;) {
      if (held_.sizes[j] == 0) free_.push_back(j);
    }
    take_fresh();
  }

  void count(std::size_t g, std::size_t j, std::int32_t sign) {
    held_.count(g, j, sign);
    prior_[j] = static_cast<double>(held_.sizes[j]) + (open_ ? 0.0 : options_.weights);
  }

  void remove(std::size_t g) {
    const auto j = static_cast<std::size_t>(labels_[g]);
    count(g, j, -1);
    if (open_ && held_.sizes[j] == 0) free_.push_back(j);
  }

  // Draws the component of a group that is in none.
  void place(std::size_t g) {
    if (groups_.totals[g] <= groups_.most_factors) {
      multinomial_kernels().weigh(held_.counts.data(), held_.stride, groups_.begin(g), groups_.end(g),
                                  groups_.totals[g], prior_.data(), held_.totals.data(), n_columns_, weights_.data(),
                                  sums_.data());
    } else {
      weigh_by_logs(g);
    }
    const std::size_t j = drawn();
    labels_[g] = static_cast<std::int32_t>(j);
    count(g, j, 1);
    if (open_ && j == fresh_) take_fresh();
  }

  // The column of the next new component.
  void take_fresh() {
    if (free_.empty()) {
      if (n_columns_ == held_.stride) grow(2 * held_.stride);
      for (std::size_t i = n_columns_ + component_block; i-- > n_columns_;) free_.push_back(i);
      n_columns_ += component_block;
    }
    fresh_ = free_.back();
    free_.pop_back();
    prior_[fresh_] = process_concentration_;
  }

  void weigh_by_logs(std::size_t g) {
    held_.log_weigh(groups_, g, prior_.data(), n_columns_, weights_.data());
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

  // One of two sets of groups that a split-merge move parts.
  struct Part {
    std::vector<std::int32_t> counts;  // (K)
    double size = 0.0, total = 0.0;
  };

  void add(Part& part, std::size_t g, std::int32_t sign) const {
    for (const CategoryCount* at = groups_.begin(g); at != groups_.end(g); ++at) {
      part.counts[at->category] += sign * static_cast<std::int32_t>(at->count);
    }
    part.size += sign;
    part.total += sign * groups_.totals[g];
  }

  // How much more probable the first part is than the second for a group that is in neither.
  double odds(std::size_t g) const {
    const double more = open_ ? 0.0 : options_.weights, sum = groups_.sum_of_prior, total = groups_.totals[g];
    const Part &a = parts_[0], &b = parts_[1];
    double ratio = (a.size + more) / (b.size + more);
    if (total > groups_.most_factors) {
      double log_ratio = log_rising(b.total + sum, total) - log_rising(a.total + sum, total);
      for (const CategoryCount* at = groups_.begin(g); at != groups_.end(g); ++at) {
        log_ratio += log_rising(a.counts[at->category] + at->prior, at->count);
        log_ratio -= log_rising(b.counts[at->category] + at->prior, at->count);
      }
      return ratio * std::exp(log_ratio);
    }
    double top = 1.0, bottom = 1.0, of_total = 1.0, of_other_total = 1.0;
    for (const CategoryCount* at = groups_.begin(g); at != groups_.end(g); ++at) {
      for (std::uint32_t t = 0; t < at->count; ++t) {
        top *= a.counts[at->category] + at->prior + t;
        bottom *= b.counts[at->category] + at->prior + t;
      }
    }
    for (double t = 0.0; t < total; t += 1.0) {
      of_total *= a.total + sum + t;
      of_other_total *= b.total + sum + t;
    }
    return ratio * (top / of_total) / (bottom / of_other_total);
  }

  // Jain & Neal 2004 (doi:10.1198/1061860043001): two groups are parted, if they share a component, or their
  // components merged. The launch state does not depend on the present allocation: the other groups are placed one
  // after the other, in random order, and then by scans.
  void split_or_merge();

  // log of b (b+1) ... (b+n-1), b the prior of category k.
  double rising(std::size_t k, std::int32_t n) {
    constexpr std::int32_t most_known = 1024;
    if (k != category_known_ && groups_.prior[k] != groups_.prior[category_known_]) known_.clear();
    category_known_ = k;
    if (n >= most_known) return log_rising(groups_.prior[k], static_cast<double>(n));
    while (known_.size() <= static_cast<std::size_t>(n)) {
      known_.push_back(log_rising(groups_.prior[k], static_cast<double>(known_.size())));
    }
    return known_[static_cast<std::size_t>(n)];
  }

  double log_likelihood();

  const MultinomialGroups& groups_;
  const MixtureSamplerOptions& options_;
  TimedPoll& poll_;
  Stream stream_;
  bool open_;
  double process_concentration_;
  std::vector<std::int32_t> labels_;  // columns
  ComponentCounts held_;
  std::size_t n_columns_ = 0;  // columns that may be in use
  std::vector<double> prior_;  // (stride) weight of each component without the group's counts; 0 of unused ones
  std::vector<double> weights_, sums_;
  Part parts_[2];
  std::vector<double> known_;  // log rising factorials of the prior of one category
  std::size_t category_known_ = 0;
  std::vector<std::size_t> free_;  // of a process: unused columns
  std::size_t fresh_ = 0;          // the one that stands for a new component
};

// The numbers of the components change no bit of the sum: two chains at one partition have the same value, so that
// their R-hat is not that of rounding.
double MultinomialChain::log_likelihood() {
  std::vector<double> of_column(n_columns_);
  for (std::size_t k = 0; k < groups_.prior.size(); ++k) {
    if (k % groups_per_poll == 0) poll_();
    for (std::size_t j = 0; j < n_columns_; ++j) of_column[j] += rising(k, held_.counts[k * held_.stride + j]);
  }
  ExactSum sum;
  for (std::size_t j = 0; j < n_columns_; ++j) {
    sum.add(of_column[j] - log_rising(groups_.sum_of_prior, static_cast<double>(held_.words[j])));
  }
  return sum.high + sum.low;
}

void MultinomialChain::split_or_merge() {
  const std::size_t n = groups_.n_groups();
  const auto below = [&](std::size_t end) {
    return static_cast<std::size_t>(uniform_integer(stream_, 0, static_cast<std::int64_t>(end) - 1));
  };
  const std::size_t i = below(n);
  const auto own_i = static_cast<std::size_t>(labels_[i]);
  const auto size_i = static_cast<std::size_t>(held_.sizes[own_i]);
  const bool split = stream_.uniform() < 0.5;
  // the other group: one of i's component, or one of another
  const std::size_t n_choices = split ? size_i - 1 : n - size_i;
  if (n_choices == 0) return;
  std::vector<std::size_t> empty;
  if (!open_) {
    for (std::size_t j = 0; j < options_.n_components; ++j) {
      if (held_.sizes[j] == 0) empty.push_back(j);
    }
    if (split && empty.empty()) return;
  }
  std::size_t j = 0, left = below(n_choices);
  for (;; ++j) {
    if (j != i && (static_cast<std::size_t>(labels_[j]) == own_i) == split && left-- == 0) break;
  }
  const auto own_j = static_cast<std::size_t>(labels_[j]);

  std::vector<std::size_t> others;
  std::vector<std::uint8_t> sides;
  for (std::size_t g = 0; g < n; ++g) {
    const auto own = static_cast<std::size_t>(labels_[g]);
    if ((own == own_i || own == own_j) && g != i && g != j) others.push_back(g);
  }
  for (std::size_t a = others.size(); a > 1; --a) std::swap(others[a - 1], others[below(a)]);
  sides.resize(others.size());
  for (Part& part : parts_) part.counts.resize(groups_.prior.size(), 0);
  add(parts_[0], i, 1);
  add(parts_[1], j, 1);
  double log_allocation = 0.0;  // log probability of the last scan
  for (int scan = 0; scan <= n_scans; ++scan) {
    for (std::size_t a = 0; a < others.size(); ++a) {
      if (a % groups_per_poll == 0) poll_();
      const std::size_t g = others[a];
      if (scan > 0) add(parts_[sides[a]], g, -1);
      const double ratio = odds(g);
      const double p[2] = {1.0 / (1.0 + 1.0 / ratio), 1.0 / (1.0 + ratio)};
      if (scan == n_scans && !split) {
        sides[a] = static_cast<std::size_t>(labels_[g]) == own_i ? 0 : 1;
      } else {
        sides[a] = stream_.uniform() < p[0] ? 0 : 1;
      }
      if (scan == n_scans) log_allocation += std::log(p[sides[a]]);
      add(parts_[sides[a]], g, 1);
    }
  }

  // log of the probability of the two parts over that of the whole, and of the choices
  const double size[2] = {parts_[0].size, parts_[1].size}, all = size[0] + size[1];
  const double sum = groups_.sum_of_prior;
  double gain = log_prior_of_split(size, empty.size() + (split ? 0 : 1), options_, process_concentration_);
  gain += log_rising(sum, parts_[0].total + parts_[1].total) - log_rising(sum, parts_[0].total) -
          log_rising(sum, parts_[1].total);
  const auto empty_out = [&](std::size_t g) {
    for (const CategoryCount* at = groups_.begin(g); at != groups_.end(g); ++at) {
      const std::size_t k = at->category;
      std::int32_t &a = parts_[0].counts[k], &b = parts_[1].counts[k];
      if (a > 0 && b > 0) gain += rising(k, a) + rising(k, b) - rising(k, a + b);
      a = b = 0;
    }
  };
  empty_out(i);
  empty_out(j);
  for (const std::size_t g : others) empty_out(g);
  for (Part& part : parts_) part.size = part.total = 0.0;
  gain += std::log((all - 1.0) / (static_cast<double>(n) - size[0])) - log_allocation;
  if (!(std::log(stream_.uniform()) < (split ? gain : -gain))) return;

  std::size_t place = own_i;
  if (split) place = open_ ? fresh_ : empty[below(empty.size())];
  const auto move = [&](std::size_t g) {
    count(g, static_cast<std::size_t>(labels_[g]), -1);
    count(g, place, 1);
    labels_[g] = static_cast<std::int32_t>(place);
  };
  move(j);
  for (std::size_t a = 0; a < others.size(); ++a) {
    if (sides[a] == 1) move(others[a]);
  }
  if (!open_) return;
  if (split) {
    take_fresh();
  } else {
    free_.push_back(own_j);
  }
}

void MultinomialChain::record(MixtureChain& out) {
  std::vector<std::size_t> columns(options_.n_components);  // none of a process
  std::iota(columns.begin(), columns.end(), std::size_t{0});
  auto [places, sizes, log_weights] = record_labels(stream_, labels_, held_.stride, columns, options_.weights, out);
  std::vector<double> shares;
  for (const double w : log_weights) shares.push_back(std::exp(w));
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
  record_weights(sizes, std::move(log_weights), options_, process_concentration_, out);
  out.log_likelihood.push_back(log_likelihood());
}

}  // namespace

std::vector<MixtureChain> sample_multinomial_mixture(const MultinomialGroups& groups,
                                                     const MixtureSamplerOptions& options,
                                                     const std::function<void(double)>& poll) {
  return record_chains(
      options, [&](std::size_t c, TimedPoll& timed_poll) { return MultinomialChain(groups, options, c, timed_poll); },
      poll);
}

void log_predictive_given_labels(const MultinomialGroups& groups, const std::int32_t* labels, std::size_t n_components,
                                 const MultinomialGroups& new_groups, double* out, TimedPoll& poll) {
  ComponentCounts held(groups);
  held.grow(n_components);
  for (std::size_t g = 0; g < groups.n_groups(); ++g) held.count(g, static_cast<std::size_t>(labels[g]), 1);
  const std::vector<double> one(held.stride, 1.0);
  std::vector<double> values(held.stride), sums(held.stride / component_block);
  const double most_factors = std::min(groups.most_factors, new_groups.most_factors);
  for (std::size_t r = 0; r < new_groups.n_groups(); ++r) {
    if (r % groups_per_poll == 0) poll();
    if (new_groups.totals[r] <= most_factors) {
      multinomial_kernels().weigh(held.counts.data(), held.stride, new_groups.begin(r), new_groups.end(r),
                                  new_groups.totals[r], one.data(), held.totals.data(), held.stride, values.data(),
                                  sums.data());
      multinomial_kernels().logs(values.data(), held.stride);
    } else {
      held.log_weigh(new_groups, r, one.data(), held.stride, values.data());
    }
    for (std::size_t j = 0; j < n_components; ++j) out[j * new_groups.n_groups() + r] = values[j];
  }
}

}  // namespace hbm_fast
